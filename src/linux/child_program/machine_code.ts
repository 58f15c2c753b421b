/**
 * The routine that every child starts in. No JavaScript can run between clone and exec, so the routine walks an array
 * of steps that were laid out beforehand. Its source is `machine_code/x86_64.s` and `machine_code/aarch64.s`; in words:
 *
 * ```text
 * start(program):
 *   walk(before); if a step failed, result = -errno
 *   else          result = clone3(...); in the child: child(program)
 *   walk(after)
 *   return result
 * child(program):
 *   walk(child); if a step failed, walk(failing)
 *   exit_group(failed ? 127 : 0), or an undefined instruction where a filter forbids that
 * start(0), as the entry of an executable:
 *   walk(child of BOOT_ADDRESS), which maps a program; child(that program)
 * ```
 *
 * @module
 */
import type { Fd } from "../io/fd.ts";
import { bind, check } from "../ffi/libc.ts";
import type { Architecture } from "./syscall_numbers.ts";

/** Offsets in the program header, which is all that the routine is given. */
export const HEADER = {
  cloneArgs: 0,
  cloneArgsSize: 8,
  /** First step and end of three lists: in the parent before clone3, in the child, in the parent after clone3. */
  before: 16,
  child: 32,
  after: 48,
  /** Address of the step that failed, 0 if none has. */
  failed: 64,
  errno: 72,
  /** Nonzero while the child uses our memory: the kernel clears it at exec and exit (CLONE_CHILD_CLEARTID). */
  alive: 80,
  pidfd: 84,
  /** Steps of a child that has failed. */
  failing: 88,
  /** In the program of an executable: the one that its steps have mapped. */
  mapped: 0,
  size: 104,
} as const;

/** Offsets in a step. */
export const STEP = {
  number: 0,
  /** Six arguments of 8 bytes. */
  arguments: 8,
  flags: 56,
  /** Up to eight errnos to ignore, a byte each. */
  ignore: 64,
  /** Address to store the raw result at, 0 for none. */
  result: 72,
  /** Number of steps to skip, 4 bytes each. */
  skipIfIgnored: 80,
  skipIfDone: 84,
  size: 88,
} as const;

/** Bits of a step's flags. */
export const STEP_FLAG = {
  ignoreAll: 1,
  /** A result of 0 fails with EPIPE: the other end of a pipe has gone. */
  zeroFails: 2,
  /** Shifted left by the argument's index: the argument is the address of its value. */
  indirect: 0x100,
} as const;

const CODE = {
  x86_64: "4885ff747f534154415541564889fb4c8b63104c8b6b18e87f0000004989c649f7de4885c07516b8b3010000488b3b48" +
    "8b73080f054885c0741b4989c64c8b63304c8b6b38e8510000004c89f0415e415d415c5bc34c8b63204c8b6b28e83900" +
    "000031ff4885c074124c8b63584c8b6b60e825000000bf7f000000b8e70000000f050f0bbb000041004c8b63204c8b6b" +
    "28e805000000488b1bebba4d39ec0f83c1000000498b7c2408498b742410498b5424184d8b5424204d8b4424284d8b4c" +
    "2430418b4c2438f6c5017403488b3ff6c5027403488b36f6c5047403488b12f6c50874034d8b12f6c51074034d8b00f6" +
    "c52074034d8b09498b04240f05498b4c24484885c97403488901483d01f0ffff7319418b4c24544885c0753241f64424" +
    "3802742a48c7c0e0ffffff48f7d8418b4c245041f6442438017513498b54244084d2741838d0740648c1ea08ebf2486b" +
    "c9584d8d640c58e93fffffff4c89634048894348c331c0c3",
  aarch64: "c00300b4fd7bbda9f35301a9f55b02a9f30300aa745641a91d000094f60300cbc00000b5600640a9683680d2010000d4" +
    "200100b4f60300aa745643a914000094e00316aaf55b42a9f35341a9fd7bc3a8c0035fd6745642a90d000094800000b4" +
    "74d645a90a000094e00f80d2c80b80d2010000d4000000003308a0d2745642a903000094730240f9f3ffff179f0215eb" +
    "42050054880240a9810a41a9831242a9852643a949004036000040f949004836210040f949005036420040f949005836" +
    "630040f949006036840040f949006836a50040f9010000d48a2e44a98c364a294b0000b4600100f91ffc3fb182000054" +
    "800100b569010836e0038092e00300cbed030c2ae90000374e1d40922e0100b4df0100eb600000544afd48d3fbffff17" +
    "0e0b80d2b4510e9b94620191d8ffff17740204a9c0035fd6000080d2c0035fd6",
} as const satisfies Record<Architecture, string>;

/** Where an executable of the routine has its own program. */
export const BOOT_ADDRESS = 0x410000;

/** The bytes of the routine for an architecture. */
export function machineCode(arch: Architecture): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromHex(CODE[arch]);
}

const libc = bind({
  mmap: {
    parameters: ["usize", /* address */ "usize", /* length */ "i32", /* prot */ "i32", /* flags */ "i32", "i64"],
    result: "pointer",
  },
  mprotect: { parameters: ["pointer", "usize", /* length */ "i32" /* prot */], result: "i32" },
  munmap: { parameters: ["pointer", "usize" /* length */], result: "i32" },
});

const PROT_READ = 1;
const PROT_WRITE = 2;
const PROT_EXEC = 4;
const MAP_SHARED = 1;
const MAP_PRIVATE = 2;
const MAP_ANONYMOUS = 0x20;
const PAGE = 4096;

/** Memory outside of V8's heap: it neither moves nor goes before it is unmapped. */
export interface Mapping {
  readonly pointer: Deno.PointerObject;
  /** A number, as user space ends at 2 ** 47: a bigint for each would cost the most part of writing a program down. */
  readonly address: number;
  readonly size: number;
}

/** A part of such memory, as bytes. V8 counts what is shown as its own, and collects garbage the sooner for it. */
export interface Shown {
  readonly address: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/**
 * @param size In bytes, a multiple of the page size.
 * @param file File to map, shared with its other mappings; without it, memory of ours.
 */
export function mapMemory(size: number, file?: Fd): Mapping {
  const flags = file === undefined ? MAP_ANONYMOUS | MAP_PRIVATE : MAP_SHARED;
  const pointer = libc.mmap(0, size, PROT_READ | PROT_WRITE, flags, file?.number ?? -1, 0);
  const address = Deno.UnsafePointer.value(pointer);
  check("mmap", () => BigInt.asIntN(64, address));
  return { pointer: pointer!, address: Number(address), size };
}

/** Of a mapping, as bytes: to be hidden before it is unmapped. */
export function showMemory({ pointer, address }: Mapping, { offset, size }: { offset: number; size: number }): Shown {
  return {
    address: address + offset,
    bytes: new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(pointer, size, offset)),
  };
}

/** Views of it that are still around throw from now on, instead of crashing. */
export function hideMemory({ bytes }: Shown): void {
  bytes.buffer.transfer(0);
}

/** No process may be using the memory, and nothing of it be shown. */
export function unmapMemory({ pointer, size }: Mapping): void {
  check("munmap", () => libc.munmap(pointer, size));
}

type Routine = Deno.UnsafeFnPointer<{ readonly parameters: readonly ["u64"]; readonly result: "i64" }>;

let routine: Routine | undefined;

/**
 * Runs the routine on the calling thread.
 *
 * @param header Address of a program header.
 * @returns The pid of the child, or a negative errno of clone3 or of a step before it.
 */
export function runProgram(header: number): number {
  routine ??= mapRoutine();
  return Number(routine.call(BigInt(header)));
}

/** Maps machine code, at most a page, to be called. It stays mapped. */
export function mapCode(code: Uint8Array): Deno.PointerObject {
  const mapping = mapMemory(PAGE);
  const shown = showMemory(mapping, { offset: 0, size: PAGE });
  shown.bytes.set(code);
  hideMemory(shown);
  check("mprotect", () => libc.mprotect(mapping.pointer, PAGE, PROT_READ | PROT_EXEC));
  return mapping.pointer;
}

function mapRoutine(): Routine {
  const pointer = mapCode(machineCode(Deno.build.arch));
  const definition = { parameters: ["u64"], result: "i64" } as const;
  return new Deno.UnsafeFnPointer(pointer as Deno.PointerObject<typeof definition>, definition);
}
