/** Streams that the caller offers as named pipes. Opening them never waits for the other side (B52). @module */
import { Fd, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } from "../../linux/io/fd.ts";
import { readSome, writeAll } from "../../linux/io/poll.ts";
import type { InputStream, OutputStream } from "../../sandbox/container/stdio.ts";

/**
 * Input from a fifo. A writer of our own keeps it open, so that a client may come, go and come back: the end is when
 * `finish` was called (CloseIO) and the last client has closed its side.
 */
export class FifoInput implements InputStream {
  readonly #reader: Fd;
  readonly #keeper: Fd;

  constructor(path: string) {
    using undo = new DisposableStack();
    this.#reader = undo.use(Fd.open(path, O_RDONLY | O_NONBLOCK));
    this.#keeper = Fd.open(path, O_WRONLY | O_NONBLOCK);
    undo.move();
  }

  read(buffer: Uint8Array<ArrayBuffer>, { signal }: { signal: AbortSignal }): Promise<number> {
    return readSome(this.#reader, buffer, { signal });
  }

  finish(): void {
    this.#keeper[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.#keeper[Symbol.dispose]();
    this.#reader[Symbol.dispose]();
  }
}

/** Output into a fifo. It is open for reading too, so that a client that leaves breaks nothing: the pipe fills up. */
export class FifoOutput implements OutputStream {
  readonly #fd: Fd;

  constructor(path: string) {
    this.#fd = Fd.open(path, O_RDWR | O_NONBLOCK);
  }

  async write(data: Uint8Array<ArrayBuffer>, { signal }: { signal: AbortSignal }): Promise<void> {
    await writeAll(this.#fd, data, { signal });
  }

  [Symbol.dispose](): void {
    this.#fd[Symbol.dispose]();
  }
}
