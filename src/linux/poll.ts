/**
 * Waiting for descriptors of any kind (pidfd, eventfd, pipe, socket, tty) without blocking the event loop: one thread
 * waits in epoll for all of them, and only while somebody waits. Reading and writing themselves are synchronous calls.
 *
 * @module
 */
import type { Fd } from "./fd.ts";

export interface WaitOptions {
  /** Ends the wait with its reason. A descriptor must not be closed while somebody waits for it: abort first. */
  signal?: AbortSignal;
}

export declare function readable(fd: Fd, options?: WaitOptions): Promise<void>;
export declare function writable(fd: Fd, options?: WaitOptions): Promise<void>;
export declare function readSome(fd: Fd, buffer: Uint8Array<ArrayBuffer>, options?: WaitOptions): Promise<number>;
export declare function writeAll(fd: Fd, data: Uint8Array<ArrayBuffer>, options?: WaitOptions): Promise<void>;
export declare function readableStream(fd: Fd): ReadableStream<Uint8Array<ArrayBuffer>>;
export declare function writableStream(fd: Fd): WritableStream<Uint8Array<ArrayBuffer>>;
