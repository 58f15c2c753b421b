/**
 * Device mapper: block devices made of tables, here to verify images (`verity`) and to join files (`linear`).
 *
 * @see https://docs.kernel.org/admin-guide/device-mapper/index.html
 * @see https://docs.kernel.org/admin-guide/device-mapper/verity.html
 * @module
 */
import { splitDevice } from "./block.ts";
import { isErrno } from "./errno.ts";
import { Fd, O_RDWR } from "./fd.ts";
import { headerView } from "./netlink.ts";
import { ioctl } from "./ioctl.ts";
import { LITTLE_ENDIAN } from "./libc.ts";

/** A row of a table: from `start` on, `length` sectors of 512 bytes are made by a target. */
export interface DmTarget {
  start: number;
  length: number;
  type: string;
  /** In the words of the target. */
  parameters: string;
}

/** Sectors of another device, from `offset` on. */
export function linearTarget(row: { start: number; length: number; device: string; offset: number }): DmTarget {
  const { start, length, device, offset } = row;
  return { start, length, type: "linear", parameters: `${device} ${offset}` };
}

/** How an image is verified; block counts are in units of the block sizes. */
export interface VerityOptions {
  dataDevice: string;
  hashDevice: string;
  /** Bytes. */
  dataBlockSize: number;
  hashBlockSize: number;
  dataBlocks: number;
  /** Where the hash tree begins, behind its superblock if there is one. */
  hashStartBlock: number;
  /** `sha256` */
  algorithm: string;
  /** Hexadecimal. */
  rootHash: string;
  /** Hexadecimal; empty for none. */
  salt: string;
  /** Such as `restart_on_corruption`. */
  features?: readonly string[];
}

/** A whole device that gives EIO for data that is not what the root hash stands for. */
export function verityTarget(options: VerityOptions): DmTarget {
  const { features = [], salt } = options;
  const words = [
    1, // on-disk format version
    options.dataDevice,
    options.hashDevice,
    options.dataBlockSize,
    options.hashBlockSize,
    options.dataBlocks,
    options.hashStartBlock,
    options.algorithm,
    options.rootHash,
    salt === "" ? "-" : salt,
    ...(features.length === 0 ? [] : [features.length, ...features]),
  ];
  const length = options.dataBlocks * (options.dataBlockSize / 512);
  return { start: 0, length, type: "verity", parameters: words.join(" ") };
}

/** `struct dm_ioctl`. */
const HEADER_SIZE = 312;
const OFFSET = { version: 0, dataSize: 12, dataStart: 16, targetCount: 20, flags: 28, device: 40, name: 48, uuid: 176 };
const NAME_SIZE = 128;
const UUID_SIZE = 129;
/** `struct dm_target_spec`: u64 start, u64 length, i32 status, u32 next, char type[16]. */
const TARGET_SIZE = 40;
const TYPE_SIZE = 16;
/** For answers with tables in them. */
const ANSWER_SIZE = 16 * 1024;

const COMMANDS = {
  DEV_CREATE: 3,
  DEV_REMOVE: 4,
  DEV_SUSPEND: 6,
  DEV_STATUS: 7,
  TABLE_LOAD: 9,
  TABLE_STATUS: 12,
} as const;
const FLAG = { READONLY: 1, DEFERRED_REMOVE: 1 << 17 } as const;

/** One call of the control device. */
export interface DmRequest {
  name: string;
  uuid?: string;
  flags?: number;
  targets?: readonly DmTarget[];
}

/** The struct of a call, with room for the answer. */
export function encodeDmRequest({ name, uuid = "", flags = 0, targets = [] }: DmRequest): Uint8Array<ArrayBuffer> {
  const table = concat(targets.map(encodeTarget));
  const bytes = new Uint8Array(HEADER_SIZE + Math.max(table.length, ANSWER_SIZE));
  const view = new DataView(bytes.buffer);
  // The interface version that the caller speaks: 4.0.0 is understood by every kernel since.
  view.setUint32(OFFSET.version, 4, LITTLE_ENDIAN);
  view.setUint32(OFFSET.dataSize, bytes.length, LITTLE_ENDIAN);
  view.setUint32(OFFSET.dataStart, HEADER_SIZE, LITTLE_ENDIAN);
  view.setUint32(OFFSET.targetCount, targets.length, LITTLE_ENDIAN);
  view.setUint32(OFFSET.flags, flags, LITTLE_ENDIAN);
  bytes.set(fixedText(name, NAME_SIZE), OFFSET.name);
  bytes.set(fixedText(uuid, UUID_SIZE), OFFSET.uuid);
  bytes.set(table, HEADER_SIZE);
  return bytes;
}

function encodeTarget({ start, length, type, parameters }: DmTarget): Uint8Array {
  const text = new TextEncoder().encode(`${parameters}\0`);
  const bytes = new Uint8Array((TARGET_SIZE + text.length + 7) & ~7);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(start), LITTLE_ENDIAN);
  view.setBigUint64(8, BigInt(length), LITTLE_ENDIAN);
  view.setUint32(20, bytes.length, LITTLE_ENDIAN);
  bytes.set(fixedText(type, TYPE_SIZE), 24);
  bytes.set(text, TARGET_SIZE);
  return bytes;
}

/** The device's number, which every call answers. */
export function decodeDmDevice(bytes: Uint8Array): { major: number; minor: number } {
  return splitDevice(headerView(bytes, HEADER_SIZE, "device").getBigUint64(OFFSET.device, LITTLE_ENDIAN));
}

/**
 * Reads the table that the kernel put behind the struct. Only calls that ask for one have it: the others leave there
 * what was sent.
 *
 * @throws {RangeError} An offset points outside, or back.
 */
export function decodeDmTable(bytes: Uint8Array): DmTarget[] {
  const view = headerView(bytes, HEADER_SIZE, "table");
  const count = view.getUint32(OFFSET.targetCount, LITTLE_ENDIAN);
  const base = view.getUint32(OFFSET.dataStart, LITTLE_ENDIAN);
  const targets: DmTarget[] = [];
  let at = base;
  while (targets.length < count) {
    headerView(bytes.subarray(at), TARGET_SIZE, `target ${targets.length + 1} of ${count}`);
    targets.push({
      start: Number(view.getBigUint64(at, LITTLE_ENDIAN)),
      length: Number(view.getBigUint64(at + 8, LITTLE_ENDIAN)),
      type: readText(bytes.subarray(at + 24, at + TARGET_SIZE)),
      parameters: readText(bytes.subarray(at + TARGET_SIZE)),
    });
    // In answers, unlike in requests, `next` counts from the start of the table.
    const next = base + view.getUint32(at + 20, LITTLE_ENDIAN);
    if (next <= at && targets.length < count) {
      throw new RangeError(`Cannot decode table: target ${targets.length + 1} of ${count} missing`);
    }
    at = next;
  }
  return targets;
}

/** A mapped device. Disposing it removes the device, or marks it to be removed at its last close. */
export interface DmDevice extends Disposable {
  readonly name: string;
  /** `/dev/dm-0`; devtmpfs makes the node. */
  readonly device: string;
}

/** How a device is made. */
export interface DmOptions {
  readOnly?: boolean;
  uuid?: string;
}

/** Makes a device of a table and starts it. @throws {ErrnoError} EBUSY: the name is taken. */
export function createDmDevice(name: string, targets: readonly DmTarget[], options: DmOptions = {}): DmDevice {
  const { readOnly = false, uuid = "" } = options;
  using control = openControl();
  using undo = new DisposableStack();
  const { minor } = decodeDmDevice(call(control, "DEV_CREATE", { name, uuid }));
  undo.defer(() => removeDmDevice(name));
  call(control, "TABLE_LOAD", { name, flags: readOnly ? FLAG.READONLY : 0, targets });
  // Without the suspend flag it means "resume": the loaded table becomes the active one.
  call(control, "DEV_SUSPEND", { name });
  const owned = undo.move();
  return { name, device: `/dev/dm-${minor}`, [Symbol.dispose]: () => owned.dispose() };
}

/** Removes a device, at its last close if it is in use; one that is gone is no failure. */
export function removeDmDevice(name: string): void {
  using control = openControl();
  try {
    call(control, "DEV_REMOVE", { name, flags: FLAG.DEFERRED_REMOVE });
  } catch (error) {
    if (!isErrno(error, "ENXIO")) throw error;
  }
}

/** What each target says of itself; `verity` says `V`, or `C` once it met corrupt data. */
export function dmStatus(name: string): DmTarget[] {
  using control = openControl();
  return decodeDmTable(call(control, "TABLE_STATUS", { name }));
}

function openControl(): Fd {
  return Fd.open("/dev/mapper/control", O_RDWR);
}

/** @returns The struct as the kernel left it. */
function call(control: Fd, command: keyof typeof COMMANDS, request: DmRequest): Uint8Array {
  const bytes = encodeDmRequest(request);
  const number = 0xc138fd00 | COMMANDS[command];
  ioctl(control, { name: `DM_${command}`, number: number >>> 0 }, { argument: bytes, detail: request.name });
  return bytes;
}

function fixedText(text: string, size: number): Uint8Array {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length >= size || text.includes("\0")) {
    throw new RangeError(`Cannot name a mapped device or target "${text}": at most ${size - 1} bytes, no NUL`);
  }
  return bytes;
}

function readText(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end === -1 ? bytes : bytes.subarray(0, end));
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
