/**
 * Block devices: their numbers, sizes and nodes.
 *
 * @see https://docs.kernel.org/admin-guide/abi-stable.html
 * @module
 */
import { Fd, O_RDONLY } from "./fd.ts";
import { ioctl } from "./ioctl.ts";

const BLKROGET = { name: "BLKROGET", number: 0x125e };
const BLKFLSBUF = { name: "BLKFLSBUF", number: 0x1261 };
const BLKSSZGET = { name: "BLKSSZGET", number: 0x1268 };
const BLKGETSIZE64 = { name: "BLKGETSIZE64", number: 0x80081272 };

/** What a block device says of itself. */
export interface BlockDeviceInfo {
  /** Bytes. */
  size: number;
  /** Bytes of the smallest unit that it addresses. */
  sectorSize: number;
  readOnly: boolean;
}

/**
 * Asks a block device for its size.
 *
 * @param path Of the device node.
 * @throws {ErrnoError} ENOTTY: it is no block device.
 */
export function blockDeviceInfo(path: string): BlockDeviceInfo {
  using fd = Fd.open(path, O_RDONLY);
  const size = new BigUint64Array(1);
  const [sectorSize, readOnly] = [new Uint32Array(1), new Uint32Array(1)];
  ioctl(fd, BLKGETSIZE64, { argument: size, detail: path });
  ioctl(fd, BLKSSZGET, { argument: sectorSize, detail: path });
  ioctl(fd, BLKROGET, { argument: readOnly, detail: path });
  return { size: Number(size[0]), sectorSize: sectorSize[0]!, readOnly: readOnly[0] !== 0 };
}

/** Writes back and drops what the kernel caches of a block device. */
export function flushBlockDevice(path: string): void {
  using fd = Fd.open(path, O_RDONLY);
  ioctl(fd, BLKFLSBUF, { detail: path });
}

/** What a device node stands for. */
export interface DeviceNumber {
  kind: "block" | "char";
  major: number;
  minor: number;
}

/** Follows symbolic links. @returns undefined if the path is no device node. */
export function deviceNumber(path: string): DeviceNumber | undefined {
  const { isBlockDevice, isCharDevice, rdev } = Deno.statSync(path);
  if (!isBlockDevice && !isCharDevice) return undefined;
  return { kind: isBlockDevice ? "block" : "char", ...splitDevice(rdev ?? 0) };
}

/** Splits a `dev_t` of the C library. */
export function splitDevice(device: number | bigint): { major: number; minor: number } {
  const bits = BigInt(device);
  const major = ((bits >> 8n) & 0xfffn) | ((bits >> 32n) & ~0xfffn);
  const minor = (bits & 0xffn) | ((bits >> 12n) & 0xffffff00n);
  return { major: Number(major), minor: Number(minor) };
}

/** Makes a `dev_t` of the C library, as mknod(2) takes it. */
export function joinDevice({ major, minor }: { major: number; minor: number }): bigint {
  const [high, low] = [BigInt(major), BigInt(minor)];
  return ((high & 0xfffff000n) << 32n) | ((high & 0xfffn) << 8n) | ((low & 0xffffff00n) << 12n) | (low & 0xffn);
}

/** Where sysfs and the device nodes are. */
export interface DeviceRoots {
  sys?: string;
  dev?: string;
}

/**
 * The node of a device that sysfs describes: `/sys/block/vda` or `/sys/dev/char/1:3` has it in its `uevent` file.
 *
 * @returns undefined if the device has no node.
 */
export function deviceNode(sysPath: string, { dev = "/dev" }: DeviceRoots = {}): string | undefined {
  const name = /^DEVNAME=(.+)$/m.exec(Deno.readTextFileSync(`${sysPath}/uevent`))?.[1];
  return name === undefined ? undefined : `${dev}/${name}`;
}

/** The node of a device by its number, whatever it is called. @throws {Deno.errors.NotFound} No such device. */
export function deviceNodeByNumber({ kind, major, minor }: DeviceNumber, roots: DeviceRoots = {}): string | undefined {
  return deviceNode(`${roots.sys ?? "/sys"}/dev/${kind}/${major}:${minor}`, roots);
}
