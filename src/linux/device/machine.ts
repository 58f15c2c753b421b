/**
 * Properties that a machine has once: its name, its clock, its swap and its entropy.
 *
 * @module
 */
import { Fd, O_RDWR, O_WRONLY } from "../io/fd.ts";
import { ioctl } from "../ffi/ioctl.ts";
import { bind, check, cstring, LITTLE_ENDIAN } from "../ffi/libc.ts";

const libc = bind({
  sethostname: { parameters: ["buffer", /* name */ "usize" /* length */], result: "i32" },
  clock_settime: { parameters: ["i32", /* clock */ "buffer" /* struct timespec */], result: "i32" },
  swapon: { parameters: ["buffer", /* path */ "i32" /* flags */], result: "i32" },
});

/** Of this uts namespace. @param name At most 64 bytes. */
export function setHostname(name: string): void {
  const bytes = new TextEncoder().encode(name);
  check("sethostname", () => libc.sethostname(bytes, bytes.length), name);
}

/** A moment since 1970. */
export interface Time {
  seconds: number | bigint;
  nanoseconds?: number;
}

/** Sets the wall clock. */
export function setClock({ seconds, nanoseconds = 0 }: Time): void {
  const CLOCK_REALTIME = 0;
  const time = BigInt64Array.of(BigInt(seconds), BigInt(nanoseconds));
  check("clock_settime", () => libc.clock_settime(CLOCK_REALTIME, time), `${seconds} s`);
}

/** Starts swapping. @param path A device or file that {@linkcode formatSwap} has prepared. */
export function swapOn(path: string): void {
  const cpath = cstring(path);
  check("swapon", () => libc.swapon(cpath, 0), path);
}

const PAGE_SIZE = 4096;
const SWAP_MAGIC = "SWAPSPACE2";

/**
 * The first page of a swap area, as mkswap(8) writes it.
 *
 * @param size Bytes of the area, 40 KiB or more.
 */
export function swapHeader(size: number): Uint8Array<ArrayBuffer> {
  const pages = Math.floor(size / PAGE_SIZE);
  if (pages < 10) throw new RangeError(`Cannot swap to ${size} bytes: at least ${10 * PAGE_SIZE} are needed`);
  const page = new Uint8Array(PAGE_SIZE);
  const view = new DataView(page.buffer);
  // Behind 1 KiB for a boot loader: u32 version, u32 last page.
  view.setUint32(1024, 1, LITTLE_ENDIAN);
  view.setUint32(1028, pages - 1, LITTLE_ENDIAN);
  page.set(new TextEncoder().encode(SWAP_MAGIC), PAGE_SIZE - SWAP_MAGIC.length);
  return page;
}

/** Overwrites the start of a device or file. @param size Bytes of the area. */
export function formatSwap(path: string, size: number): void {
  using fd = Fd.open(path, O_WRONLY);
  fd.write(swapHeader(size));
}

const RNDADDENTROPY = { name: "RNDADDENTROPY", number: 0x40085203 };
const RNDRESEEDCRNG = { name: "RNDRESEEDCRNG", number: 0x5207 };

/** Gives the kernel secret random bytes that it counts as such, and has it use them at once. */
export function addEntropy(secret: Uint8Array): void {
  using fd = Fd.open("/dev/random", O_RDWR);
  // struct rand_pool_info: i32 bits of entropy, i32 size, then the bytes.
  const bytes = new Uint8Array(8 + secret.length);
  const view = new DataView(bytes.buffer);
  view.setInt32(0, secret.length * 8, LITTLE_ENDIAN);
  view.setInt32(4, secret.length, LITTLE_ENDIAN);
  bytes.set(secret, 8);
  ioctl(fd, RNDADDENTROPY, { argument: bytes });
  ioctl(fd, RNDRESEEDCRNG);
}
