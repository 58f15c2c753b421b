/** Copying a file that is mostly holes, in a process of its own. @module */
import type { Child } from "../child_program/child.ts";
import { isErrno } from "../ffi/errno.ts";
import type { Fd } from "../io/fd.ts";
import { bind, check } from "../ffi/libc.ts";
import { writeFile } from "../child_program/calls.ts";
import { SyscallProgram } from "../child_program/program.ts";

const libc = bind({
  lseek: { parameters: ["i32", /* fd */ "i64", /* offset */ "i32" /* whence */], result: "i64" },
});

const SEEK_SET = 0;
const SEEK_END = 2;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
/** One call copies no more than 2 GiB. */
const MOST_BYTES = 2 ** 30;
/** A shorter hole is copied as zeros: a call costs more than this does. */
const LEAST_HOLE = 64 * 1024;

/** Bytes of a file from `start` up to, but not including, `end`. */
export interface Extent {
  start: number;
  end: number;
}

/** Where a file has data; between these it reads as zeros. */
export function dataExtents(fd: Fd): Extent[] {
  const size = seek(fd, 0, SEEK_END) ?? 0;
  const extents: Extent[] = [];
  for (let at = 0; at < size;) {
    const start = seek(fd, at, SEEK_DATA);
    if (start === undefined) break;
    at = seek(fd, start, SEEK_HOLE) ?? size;
    extents.push({ start, end: at });
  }
  return extents;
}

/** Bytes that a file has data for. */
export function dataBytes(fd: Fd): number {
  return dataExtents(fd).reduce((bytes, { start, end }) => bytes + end - start, 0);
}

export function fileSize(fd: Fd): number {
  return seek(fd, 0, SEEK_END) ?? 0;
}

/**
 * Copies the data of a file into another one of the same size that has none yet, while we go on. The process that does
 * it joins the control groups first, so that the memory which the copy takes is counted there.
 *
 * @param options `cgroupProcs`: files as for `spawn`.
 * @throws {Error} A step failed, or not all was copied.
 */
export async function copySparse(
  { source, target }: { source: Fd; target: Fd },
  { cgroupProcs = [] }: { cgroupProcs?: readonly string[] | undefined } = {},
): Promise<void> {
  const extents = mergeExtents(dataExtents(source));
  using program = new SyscallProgram();
  for (const file of cgroupProcs) writeFile(program, file, { content: "0", label: `join ${file}` });
  for (const { start, end } of extents) {
    program.call("lseek", [target.number, start, SEEK_SET]);
    const offset = program.slot();
    program.call("lseek", [source.number, start, SEEK_SET], { result: offset });
    program.call("sendfile", [target.number, source.number, offset.address, end - start]);
  }
  program.call("exit_group", [0]);
  await using child = program.start();
  await finish(child);
  // A call may copy less than it was told to.
  if (dataBytes(target) < dataBytes(source)) throw new Error("Cannot copy a file: not all of it was copied");
}

async function finish(child: Child): Promise<void> {
  const status = await child.wait();
  if (child.failure !== undefined) throw child.failure;
  if (!("code" in status) || status.code !== 0) throw new Error("Cannot copy a file: the copying process was killed");
}

/** Joins extents that are close, and cuts those that are too long for one call. */
export function mergeExtents(extents: readonly Extent[]): Extent[] {
  const merged: Extent[] = [];
  for (const extent of extents) {
    const last = merged.at(-1);
    if (last !== undefined && extent.start - last.end < LEAST_HOLE) last.end = extent.end;
    else merged.push({ ...extent });
  }
  return merged.flatMap(({ start, end }) => {
    const count = Math.ceil((end - start) / MOST_BYTES);
    return Array.from({ length: count }, (_, index) => ({
      start: start + index * MOST_BYTES,
      end: Math.min(end, start + (index + 1) * MOST_BYTES),
    }));
  });
}

/** @returns undefined if there is no data from there on. */
function seek(fd: Fd, offset: number, whence: number): number | undefined {
  try {
    return Number(check("lseek", () => Number(libc.lseek(fd.number, BigInt(offset), whence))));
  } catch (error) {
    if (isErrno(error, "ENXIO")) return undefined;
    throw error;
  }
}
