/**
 * D-Bus messages and their bytes. Pure.
 *
 * @see https://dbus.freedesktop.org/doc/dbus-specification.html#message-protocol
 * @module
 */
import { padded, Reader, type Value, type Variant, Writer } from "./dbus_wire.ts";

export const MESSAGE = { call: 1, reply: 2, error: 3, signal: 4 } as const;

export interface Message {
  type: number;
  serial: number;
  path?: string;
  interface?: string;
  member?: string;
  errorName?: string;
  /** Serial of the call that this answers. */
  replySerial?: number;
  destination?: string;
  sender?: string;
  /** Types of `body`, such as `ssa(sv)`. */
  signature?: string;
  body?: readonly Value[];
}

/** Code and type of each header field. */
const FIELDS = {
  path: [1, "o"],
  interface: [2, "s"],
  member: [3, "s"],
  errorName: [4, "s"],
  replySerial: [5, "u"],
  destination: [6, "s"],
  sender: [7, "s"],
  signature: [8, "g"],
} as const satisfies Partial<Record<keyof Message, readonly [number, string]>>;

type Field = keyof typeof FIELDS;

const PROTOCOL_VERSION = 1;
const FIXED_HEADER = 12;
/** The largest message that a bus passes on. */
const MAX_MESSAGE = 128 << 20;

export function encodeMessage(message: Message): Uint8Array<ArrayBuffer> {
  const { type, serial, signature = "", body = [] } = message;
  const payload = new Writer();
  payload.write(`(${signature})`, body);
  const fields = (Object.keys(FIELDS) as Field[]).flatMap((name): Value[] => {
    const value = message[name];
    const [code, fieldType] = FIELDS[name];
    return value === undefined || value === "" ? [] : [[code, { signature: fieldType, value }]];
  });
  const header = new Writer();
  const littleEndian = "l".charCodeAt(0);
  header.write("(yyyyuua(yv))", [littleEndian, type, 0, PROTOCOL_VERSION, payload.length, serial, fields]);
  header.align(8);
  const bytes = new Uint8Array(header.length + payload.length);
  bytes.set(header.bytes);
  bytes.set(payload.bytes, header.length);
  return bytes;
}

/** @returns The first message in `bytes` and its length; undefined if it is not all there yet. */
export function decodeMessage(bytes: Uint8Array<ArrayBuffer>): { message: Message; length: number } | undefined {
  if (bytes.length < FIXED_HEADER + 4) return undefined;
  const isLittle = bytes[0] === "l".charCodeAt(0);
  if (!isLittle && bytes[0] !== "B".charCodeAt(0)) throw new TypeError(`Cannot decode a message of order ${bytes[0]}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const bodyStart = FIXED_HEADER + 4 + padded(view.getUint32(FIXED_HEADER, isLittle), 8);
  const length = bodyStart + view.getUint32(4, isLittle);
  if (length > MAX_MESSAGE) throw new RangeError(`Cannot decode a message of ${length} bytes`);
  if (bytes.length < length) return undefined;
  const reader = new Reader(view, isLittle);
  const [, type, , , , serial, fields] = reader.read("(yyyyuua(yv))") as [
    number,
    number,
    number,
    number,
    number,
    number,
    [number, Variant][],
  ];
  const message: Message = { type, serial };
  for (const [code, { value }] of fields) {
    const name = (Object.keys(FIELDS) as Field[]).find((one) => FIELDS[one][0] === code);
    if (name !== undefined) Object.assign(message, { [name]: value });
  }
  reader.align(8);
  message.body = reader.read(`(${message.signature ?? ""})`) as Value[];
  return { message, length };
}
