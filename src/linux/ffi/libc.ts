/**
 * The one binding of the C library. Each file of this folder binds the functions that it needs, with the C types as
 * comments, and calls them through {@linkcode check}:
 *
 * ```ts ignore
 * const libc = bind({ sethostname: { parameters: ["buffer", "usize"], result: "i32" } });
 * check("sethostname", () => libc.sethostname(name, name.length), hostname);
 * ```
 *
 * @module
 */
import { ERRNO, ErrnoError } from "./errno.ts";

/** JavaScript type of a C parameter. A buffer is passed by address and must stay referenced during the call. */
export interface ParameterTypes {
  i32: number;
  u32: number;
  i64: number | bigint;
  u64: number | bigint;
  usize: number | bigint;
  isize: number | bigint;
  buffer: BufferSource | null;
  pointer: Deno.PointerValue;
}

/** JavaScript type of a C result. */
export interface ResultTypes {
  void: undefined;
  i32: number;
  u32: number;
  i64: bigint;
  u64: bigint;
  usize: bigint;
  isize: bigint;
  pointer: Deno.PointerValue;
}

/** The C signature of a function. */
export interface Signature {
  /** The symbol, if the key is not it: several signatures of `syscall` or `ioctl` may stand side by side. */
  name?: string;
  parameters: readonly (keyof ParameterTypes)[];
  result: keyof ResultTypes;
  /** Runs on a thread of its own and loses errno: to wait, never to act. */
  nonblocking?: boolean;
}

/** The JavaScript parameters of C ones. */
export type ParametersOf<P extends Signature["parameters"]> = { [I in keyof P]: ParameterTypes[P[I]] };

/** The JavaScript function of a C signature. */
export type Bound<S extends Signature> = (
  ...parameters: ParametersOf<S["parameters"]>
) => S["nonblocking"] extends true ? Promise<ResultTypes[S["result"]]> : ResultTypes[S["result"]];

/** Bound functions by name. */
export type BoundTable<T extends Record<string, Signature>> = { readonly [K in keyof T]: Bound<T[K]> };

// As data, whose value is its address: for a function Deno.dlopen generates machine code at once, 0.4 ms each, ten times
// that in an emulated guest. Called by pointer they cost nothing at start.
const { symbols: loader } = Deno.dlopen("libc.so.6", { dlopen: { type: "pointer" }, dlsym: { type: "pointer" } });
const loaderCalls = {
  dlopen: callable(loader.dlopen, { parameters: ["buffer", /* file */ "i32" /* flags */], result: "pointer" }),
  dlsym: callable(loader.dlsym, { parameters: ["pointer", /* handle */ "buffer" /* symbol */], result: "pointer" }),
};

function callable<const S extends Signature>(pointer: Deno.PointerValue, signature: S): Bound<S> {
  const { parameters, result, nonblocking = false } = signature;
  const definition: Deno.ForeignFunction = { parameters, result, nonblocking };
  const pointed = new Deno.UnsafeFnPointer(pointer as Deno.PointerObject<typeof definition>, definition);
  return pointed.call.bind(pointed) as unknown as Bound<S>;
}

/**
 * Binds functions of libc.so.6. Nothing is looked up before the first call of each, and what is bound shows in no leak
 * sanitizer, unlike `Deno.dlopen` within a test.
 */
export function bind<const T extends Record<string, Signature>>(table: T): BoundTable<T> {
  return bindLibrary("libc.so.6", table);
}

/** As {@linkcode bind}, for another shared library, which is loaded by the first call. */
export function bindLibrary<const T extends Record<string, Signature>>(library: string, table: T): BoundTable<T> {
  // Plain properties: those with a getter take twice as long to make, and there are a hundred.
  const bound: Record<string, (...parameters: unknown[]) => unknown> = {};
  for (const [key, signature] of Object.entries(table)) {
    bound[key] = (...parameters) => {
      bound[key] = lookUp(library, signature.name ?? key, signature);
      return bound[key](...parameters);
    };
  }
  return bound as unknown as BoundTable<T>;
}

const RTLD_LAZY = 1;
const handles = new Map<string, Deno.PointerObject>();

function lookUp(library: string, symbol: string, signature: Signature): (...parameters: unknown[]) => unknown {
  const handle = handles.get(library) ?? loaderCalls.dlopen(cstring(library), RTLD_LAZY);
  if (handle === null) throw new Error(`Cannot load library "${library}"`);
  handles.set(library, handle);
  const pointer = loaderCalls.dlsym(handle, cstring(symbol));
  if (pointer === null) throw new Error(`Cannot find "${symbol}" in library "${library}"`);
  // Looked up after a call that fails, errno's place would be found by calls that may change errno.
  if (symbol !== "__errno_location") lastErrno();
  return callable(pointer, signature) as (...parameters: unknown[]) => unknown;
}

const libc = bind({
  __errno_location: { parameters: [], result: "pointer" },
  read: { parameters: ["i32", /* fd */ "buffer", "usize" /* count */], result: "i32" /* kernel never moves 2 GiB */ },
  write: { parameters: ["i32", /* fd */ "buffer", "usize" /* count */], result: "i32" },
});

/** This thread's errno, read as memory so that reading cannot change it. */
let errnoCell: Int32Array | undefined;

/** errno after a synchronous call that failed; nonblocking calls lose theirs. Use {@linkcode check} where it will do. */
export function lastErrno(): number {
  errnoCell ??= new Int32Array(Deno.UnsafePointerView.getArrayBuffer(libc.__errno_location()!, 4));
  return errnoCell[0]!;
}

/**
 * Makes a system call, again while a signal interrupts it.
 *
 * @param syscall Name in the error.
 * @param call Returns -1 on failure, with errno set.
 * @param detail What the call was about, such as a path; for the error.
 * @returns The result of the call.
 * @throws {ErrnoError} The call failed.
 */
export function check(syscall: string, call: () => number | bigint, detail?: string): number {
  for (;;) {
    const result = Number(call());
    if (result !== -1) return result;
    const errno = lastErrno();
    if (errno !== ERRNO.EINTR) throw new ErrnoError(syscall, errno, detail);
  }
}

/** read(2) as it is, for loops where nothing may cost: -1 and {@linkcode lastErrno} on failure. */
export function rawRead(fd: number, buffer: Uint8Array<ArrayBuffer>): number {
  return libc.read(fd, buffer, BigInt(buffer.byteLength));
}

/** write(2) as it is, for loops where nothing may cost: -1 and {@linkcode lastErrno} on failure. */
export function rawWrite(fd: number, data: Uint8Array<ArrayBuffer>): number {
  return libc.write(fd, data, BigInt(data.byteLength));
}

/** Byte order of every struct: that of both architectures. */
export const LITTLE_ENDIAN = true;

const encoder = new TextEncoder();

/**
 * Encodes a string as C wants it, with a NUL at the end.
 *
 * @throws {TypeError} The string holds a NUL itself: the kernel would see less than the caller wrote.
 */
export function cstring(text: string): Uint8Array<ArrayBuffer> {
  refuseNul(text);
  return encoder.encode(`${text}\0`);
}

/** @throws {TypeError} The string holds a NUL. */
export function refuseNul(text: string): void {
  if (text.includes("\0")) throw new TypeError(`Cannot pass ${JSON.stringify(text)} to the kernel: it holds a NUL`);
}

/**
 * The address of a place in a buffer, to be put into a struct in the same buffer, which is what the call gets: an address
 * alone does not keep the collector away from what it points to.
 */
export function addressIn(whole: Uint8Array<ArrayBuffer>, offset: number): bigint {
  // By way of `.buffer`, which moves a small array out of V8's heap, where the collector could move it.
  return Deno.UnsafePointer.value(Deno.UnsafePointer.of(whole.buffer)) + BigInt(whole.byteOffset + offset);
}
