/** System calls as a C program makes them, for the battery that compares file systems: runs in containers and on the host. @module */
import { syscallNumber } from "../../../src/linux/child_program/syscall_numbers.ts";
import { errnoName } from "../../../src/linux/ffi/errno.ts";
import { bind, lastErrno } from "../../../src/linux/ffi/libc.ts";

/** Result of a case: the same on each file system that works as the local one. */
export type Finding = unknown;
/** By what is done. Each gets a directory of its own, which anybody may enter. */
export type Cases = Readonly<Record<string, (at: string) => Finding>>;

type Word = number | bigint | string | Uint8Array<ArrayBuffer>;

const SIX = ["u64", "u64", "u64", "u64", "u64", "u64"] as const;
const functions = new Map<string, (...words: bigint[]) => bigint>();

/** A call that failed; its message is the name of its errno, such as `EACCES`. */
export class Failed extends Error {}

/**
 * Calls a function of the C library, none of which takes more than six words here.
 *
 * @throws {Failed}
 */
export function c(name: string, ...words: readonly Word[]): number {
  const call = functions.get(name) ?? bind({ [name]: { parameters: SIX, result: "i64" } })[name]!;
  functions.set(name, call as (...words: bigint[]) => bigint);
  const held = words.map(held64);
  const full = [...held.map(({ word }) => word), ...Array(6).fill(0n)].slice(0, 6);
  const result = (call as (...words: bigint[]) => bigint)(...full);
  // An int leaves the upper half as it was.
  const isFailure = result === -1n || (result >= 0n && result <= 0xffffffffn && BigInt.asIntN(32, result) === -1n);
  if (isFailure) throw new Failed(errnoName(lastErrno()));
  return Number(result);
}

function held64(word: Word): { word: bigint; kept?: Uint8Array<ArrayBuffer> } {
  if (typeof word === "string") return held64(new TextEncoder().encode(`${word}\0`) as Uint8Array<ArrayBuffer>);
  if (typeof word === "object") {
    return { word: BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(word))), kept: word };
  }
  return { word: BigInt.asUintN(64, BigInt(word)) };
}

/** The name of the error that a call ends with, or `ok`. */
export function errorOf(act: () => unknown): string {
  try {
    act();
    return "ok";
  } catch (error) {
    if (error instanceof Failed) return error.message;
    if (error instanceof Error && "code" in error) return String(error.code);
    throw error;
  }
}

export const AT_FDCWD = -100;
export const O = { RDONLY: 0, WRONLY: 1, RDWR: 2, CREAT: 0o100, EXCL: 0o200, TRUNC: 0o1000, APPEND: 0o2000 } as const;
const isArm = Deno.build.arch === "aarch64";
export const O_DIRECTORY = isArm ? 0o40000 : 0o200000;
export const O_DIRECT = isArm ? 0o200000 : 0o40000;
export const O_TMPFILE = 0o20000000 | O_DIRECTORY;
export const O_NONBLOCK = 0o4000;

export function open(path: string, flags: number = O.RDWR | O.CREAT, mode = 0o644): number {
  return c("open", path, flags, mode);
}

export function close(fd: number): void {
  c("close", fd);
}

export function write(fd: number, text: string): number {
  const bytes = new TextEncoder().encode(text) as Uint8Array<ArrayBuffer>;
  return c("write", fd, bytes, bytes.length);
}

export function read(fd: number, most = 4096): string {
  const bytes = new Uint8Array(most);
  return new TextDecoder().decode(bytes.subarray(0, c("read", fd, bytes, most)));
}

/** Does something as another user: file systems and rights see that one, this thread alone is it. */
export function as<T>(user: { uid: number; gid?: number; groups?: readonly number[] }, act: () => T): T {
  const { uid, gid = uid, groups = [] } = user;
  const become = (ids: { uid: number; gid: number; groups: readonly number[] }) => {
    c(
      "syscall",
      syscallNumber("setgroups"),
      ids.groups.length,
      new Uint8Array(new Uint32Array([...ids.groups, 0]).buffer),
    );
    c("syscall", syscallNumber("setresgid"), -1, ids.gid, -1);
    c("syscall", syscallNumber("setresuid"), -1, ids.uid, -1);
  };
  become({ uid, gid, groups });
  try {
    return act();
  } finally {
    c("syscall", syscallNumber("setresuid"), -1, 0, -1);
    become({ uid: 0, gid: 0, groups: [] });
  }
}

/** A shared mapping, as bytes. @param bytes From the file's begin. */
export function mapShared(fd: number, bytes: number): { view: Uint8Array; sync(): void; unmap(): void } {
  const address = c("mmap", 0, bytes, 3, 1, fd, 0);
  const view = new Uint8Array(
    Deno.UnsafePointerView.getArrayBuffer(Deno.UnsafePointer.create(BigInt(address))!, bytes),
  );
  return {
    view,
    sync: () => void c("msync", address, bytes, 4),
    unmap: () => void c("munmap", address, bytes),
  };
}
