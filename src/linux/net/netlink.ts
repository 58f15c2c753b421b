/**
 * The bytes of netlink: messages and attributes. Pure; `netlink_socket.ts` carries them.
 *
 * Numbers are in the byte order of the machine, which is little-endian wherever this program runs.
 *
 * @see https://docs.kernel.org/userspace-api/netlink/intro.html
 * @module
 */
import { LITTLE_ENDIAN } from "../ffi/libc.ts";

/** Types of messages that every netlink family has. */
export const NLMSG = { NOOP: 1, ERROR: 2, DONE: 3, OVERRUN: 4 } as const;

/** Flags of messages. */
export const NLM_F = {
  REQUEST: 0x1,
  MULTI: 0x2,
  ACK: 0x4,
  DUMP_INTR: 0x10,
  ROOT: 0x100,
  MATCH: 0x200,
  DUMP: 0x300,
  REPLACE: 0x100,
  EXCL: 0x200,
  CREATE: 0x400,
  APPEND: 0x800,
  /** In an answer of type `ERROR`: the request is not echoed. */
  CAPPED: 0x100,
  /** In an answer of type `ERROR`: attributes follow. */
  ACK_TLVS: 0x200,
} as const;

/** `struct nlmsghdr` and what follows it. */
export interface NetlinkMessage {
  type: number;
  flags: number;
  sequence: number;
  portId: number;
  payload: Uint8Array;
}

const HEADER_SIZE = 16;

/** The message with its header, padded to 4 bytes. */
export function encodeMessage(message: NetlinkMessage): Uint8Array<ArrayBuffer> {
  const length = HEADER_SIZE + message.payload.length;
  const bytes = new Uint8Array(align(length));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, length, LITTLE_ENDIAN);
  view.setUint16(4, message.type, LITTLE_ENDIAN);
  view.setUint16(6, message.flags, LITTLE_ENDIAN);
  view.setUint32(8, message.sequence, LITTLE_ENDIAN);
  view.setUint32(12, message.portId, LITTLE_ENDIAN);
  bytes.set(message.payload, HEADER_SIZE);
  return bytes;
}

/**
 * All messages of one datagram; their payloads are views into it.
 *
 * @throws {RangeError} A length points outside the datagram.
 */
export function decodeMessages(datagram: Uint8Array): NetlinkMessage[] {
  const view = viewOf(datagram);
  const messages: NetlinkMessage[] = [];
  for (let at = 0; at < datagram.length;) {
    if (at + HEADER_SIZE > datagram.length) {
      throw new RangeError(`Cannot decode netlink message: cut off at byte ${at}`);
    }
    const length = view.getUint32(at, LITTLE_ENDIAN);
    if (length < HEADER_SIZE || at + length > datagram.length) {
      throw new RangeError(`Cannot decode netlink message at byte ${at}: length ${length} of ${datagram.length}`);
    }
    messages.push({
      type: view.getUint16(at + 4, LITTLE_ENDIAN),
      flags: view.getUint16(at + 6, LITTLE_ENDIAN),
      sequence: view.getUint32(at + 8, LITTLE_ENDIAN),
      portId: view.getUint32(at + 12, LITTLE_ENDIAN),
      payload: datagram.subarray(at + HEADER_SIZE, at + length),
    });
    at += align(length);
  }
  return messages;
}

/** `struct nlattr`: a type and a value. */
export interface Attribute {
  /** Without the two flag bits: 0 to 0x3fff. */
  type: number;
  value: Uint8Array;
}

const ATTRIBUTE_HEADER_SIZE = 4;
const TYPE_MASK = 0x3fff;
const NLA_F_NESTED = 0x8000;

/** Attributes one after the other, each padded to 4 bytes. */
export function encodeAttributes(attributes: readonly Attribute[]): Uint8Array<ArrayBuffer> {
  const size = attributes.reduce((sum, { value }) => sum + align(ATTRIBUTE_HEADER_SIZE + value.length), 0);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const { type, value } of attributes) {
    const length = ATTRIBUTE_HEADER_SIZE + value.length;
    if (length > 0xffff) throw new RangeError(`Cannot encode netlink attribute ${type}: ${length} bytes`);
    view.setUint16(at, length, LITTLE_ENDIAN);
    view.setUint16(at + 2, type, LITTLE_ENDIAN);
    bytes.set(value, at + ATTRIBUTE_HEADER_SIZE);
    at += align(length);
  }
  return bytes;
}

/**
 * The attributes of a payload, in order; their values are views into it, their types are without flag bits.
 *
 * @throws {RangeError} A length points outside `bytes`.
 */
export function decodeAttributes(bytes: Uint8Array): Attribute[] {
  const view = viewOf(bytes);
  const attributes: Attribute[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = at + ATTRIBUTE_HEADER_SIZE > bytes.length ? 0 : view.getUint16(at, LITTLE_ENDIAN);
    if (length < ATTRIBUTE_HEADER_SIZE || at + length > bytes.length) {
      throw new RangeError(`Cannot decode netlink attribute at byte ${at}: length ${length} of ${bytes.length}`);
    }
    const type = view.getUint16(at + 2, LITTLE_ENDIAN) & TYPE_MASK;
    attributes.push({ type, value: bytes.subarray(at + ATTRIBUTE_HEADER_SIZE, at + length) });
    at += align(length);
  }
  return attributes;
}

/** Attributes by type; of equal types the last. */
export function attributeMap(bytes: Uint8Array): Map<number, Uint8Array> {
  return new Map(decodeAttributes(bytes).map(({ type, value }) => [type, value]));
}

/** Makes one attribute of each kind of value. */
export const attribute = {
  bytes: (type: number, value: Uint8Array): Attribute => ({ type, value }),
  flag: (type: number): Attribute => ({ type, value: new Uint8Array(0) }),
  string: (type: number, text: string): Attribute => {
    if (text.includes("\0")) throw new TypeError(`Cannot encode netlink attribute ${type}: the text has a NUL`);
    return { type, value: new TextEncoder().encode(`${text}\0`) };
  },
  u8: (type: number, value: number): Attribute => ({ type, value: Uint8Array.of(value) }),
  u16: (type: number, value: number): Attribute => ({ type, value: bytesOf(Uint16Array.of(value)) }),
  u32: (type: number, value: number): Attribute => ({ type, value: bytesOf(Uint32Array.of(value)) }),
  /** Attributes within an attribute, marked as such. */
  nested: (type: number, attributes: readonly Attribute[]): Attribute => ({
    type: type | NLA_F_NESTED,
    value: encodeAttributes(attributes),
  }),
};

/** The number in a value of 1, 2, 4 or 8 bytes; undefined if there is no value or it has another size. */
export function readNumber(value: Uint8Array | undefined): number | undefined {
  if (value === undefined) return undefined;
  const view = viewOf(value);
  switch (value.length) {
    case 1:
      return view.getUint8(0);
    case 2:
      return view.getUint16(0, LITTLE_ENDIAN);
    case 4:
      return view.getUint32(0, LITTLE_ENDIAN);
    case 8:
      return Number(view.getBigUint64(0, LITTLE_ENDIAN));
    default:
      return undefined;
  }
}

/** The text of a value, up to its NUL. */
export function readText(value: Uint8Array | undefined): string | undefined {
  if (value === undefined) return undefined;
  const end = value.indexOf(0);
  return new TextDecoder().decode(end === -1 ? value : value.subarray(0, end));
}

/** Answer of the kernel to a request, taken or refused: `struct nlmsgerr` and its attributes. */
export interface NetlinkAck {
  /** 0: done. */
  errno: number;
  /** The kernel's own explanation, if it has one. */
  text: string | undefined;
}

const NLMSGERR_ATTR_MSG = 1;

/** Reads the payload of a message of type `ERROR`. */
export function decodeAck({ payload, flags }: NetlinkMessage): NetlinkAck {
  if (payload.length < 4) throw new RangeError(`Cannot decode netlink ack of ${payload.length} bytes`);
  const errno = -viewOf(payload).getInt32(0, LITTLE_ENDIAN);
  if ((flags & NLM_F.ACK_TLVS) === 0 || payload.length < 4 + HEADER_SIZE) return { errno: errno || 0, text: undefined };
  const echoed = flags & NLM_F.CAPPED ? HEADER_SIZE : viewOf(payload).getUint32(4, LITTLE_ENDIAN);
  const attributes = attributeMap(payload.subarray(4 + align(echoed)));
  return { errno: errno || 0, text: readText(attributes.get(NLMSGERR_ATTR_MSG)) };
}

/**
 * A view on a message that begins with a struct of `size` bytes.
 *
 * @throws {RangeError} It is shorter.
 */
export function headerView(bytes: Uint8Array, size: number, what: string): DataView {
  if (bytes.length < size) {
    throw new RangeError(`Cannot decode ${what} of ${bytes.length} bytes: at least ${size} expected`);
  }
  return viewOf(bytes);
}

/** A view on exactly these bytes. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function bytesOf(numbers: Uint16Array | Uint32Array): Uint8Array {
  return new Uint8Array(numbers.buffer);
}

function align(length: number): number {
  return (length + 3) & ~3;
}
