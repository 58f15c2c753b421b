/**
 * Reads and writes the files of a cgroup. Their meaning is known by `oci/cgroup`.
 *
 * @see https://docs.kernel.org/admin-guide/cgroup-v2.html#conventions
 * @module
 */
import { isErrno } from "../ffi/errno.ts";
import { Fd, O_RDONLY, O_WRONLY } from "../io/fd.ts";
import { bind, cstring } from "../ffi/libc.ts";

const libc = bind({ access: { parameters: ["buffer", /* path */ "i32" /* mode */], result: "i32" } });

/** Most files fit; the longer ones grow it. */
let buffer = new Uint8Array(16 * 1024);

/**
 * Reads a file of a cgroup without its trailing newline.
 *
 * @returns undefined if there is no such file or cgroup (any more).
 */
export function readCgroupFile(cgroup: string, file: string): string | undefined {
  try {
    // Not by Deno's own functions: their errors do not tell ENODEV from others.
    using opened = Fd.open(`${cgroup}/${file}`, O_RDONLY);
    return readWhole(opened).trimEnd();
  } catch (error) {
    // ENODEV: the cgroup was removed between open and read.
    if (isErrno(error, "ENOENT", "ENOTDIR", "ENODEV")) return undefined;
    throw error;
  }
}

/** Whether a cgroup has such a file. */
export function hasCgroupFile(cgroup: string, file: string): boolean {
  const F_OK = 0;
  // Any failure means no; and none costs an exception, which is dear for those that are asked for in vain.
  return libc.access(cstring(`${cgroup}/${file}`), F_OK) === 0;
}

function readWhole(file: Fd): string {
  let length = 0;
  for (;;) {
    const read = file.read(buffer.subarray(length));
    if (read === 0) return new TextDecoder().decode(buffer.subarray(0, length));
    length += read;
    if (length < buffer.length) continue;
    const longer = new Uint8Array(2 * buffer.length);
    longer.set(buffer);
    buffer = longer;
  }
}

/**
 * Reads a count, in bytes, microseconds or whatever the file counts.
 *
 * @returns `"max"` for `max` and -1; undefined if there is no such file.
 * @throws {SyntaxError} The file holds something else.
 */
export function readCgroupValue(cgroup: string, file: string): bigint | "max" | undefined {
  const text = readCgroupFile(cgroup, file);
  if (text === undefined || text === "") return undefined;
  if (text === "max" || text === "-1") return "max";
  return parseCount(text, `${cgroup}/${file}`);
}

/** @throws {SyntaxError} The text, of this file, is no whole number. */
export function parseCount(text: string, path: string): bigint {
  if (!isNumber(text)) throw new SyntaxError(`Cannot parse "${path}": "${text.slice(0, 100)}" is no number`);
  return BigInt(text);
}

/** Reads lines of `key value`; empty if there is no such file. */
export function readFlatKeyed(cgroup: string, file: string): Map<string, bigint> {
  const values = new Map<string, bigint>();
  for (const line of lines(cgroup, file)) {
    const [key = "", value = ""] = line.split(" ");
    if (isNumber(value)) values.set(key, BigInt(value));
  }
  return values;
}

/** Reads lines of `name key=value key=value`, as `io.stat` and `memory.pressure` have them. */
export function readNestedKeyed(cgroup: string, file: string): Map<string, Map<string, string>> {
  const values = new Map<string, Map<string, string>>();
  for (const line of lines(cgroup, file)) {
    const [name = "", ...pairs] = line.split(" ").filter((word) => word !== "");
    values.set(name, new Map(pairs.map((pair) => [pair.split("=")[0]!, pair.split("=")[1] ?? ""])));
  }
  return values;
}

/**
 * Writes one value in one write(2), as these files want it.
 *
 * @throws {Error} With the value in the message and the kernel's refusal, an `ErrnoError`, as the cause.
 */
export function writeCgroupFile(cgroup: string, file: string, value: string | number | bigint): void {
  const path = `${cgroup}/${file}`;
  try {
    // Never O_CREAT: a cgroup file system would answer EACCES where ENOENT (no such controller) is the truth.
    using opened = Fd.open(path, O_WRONLY);
    opened.write(new TextEncoder().encode(String(value)));
  } catch (cause) {
    throw new Error(`Cannot write "${value}" to "${path}"`, { cause });
  }
}

/** As {@linkcode writeCgroupFile}; nothing happens if there is no such file or cgroup (any more). */
export function writeCgroupFileIfThere(cgroup: string, file: string, value: string | number | bigint): void {
  try {
    writeCgroupFile(cgroup, file, value);
  } catch (error) {
    if (!isErrno((error as Error).cause, "ENOENT", "ENODEV")) throw error;
  }
}

function lines(cgroup: string, file: string): string[] {
  return (readCgroupFile(cgroup, file) ?? "").split("\n").filter((line) => line !== "");
}

function isNumber(text: string): boolean {
  return /^-?\d+$/.test(text);
}
