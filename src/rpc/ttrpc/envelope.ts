/**
 * Messages in the data of a ttRPC frame: `ttrpc.Request` and `ttrpc.Response`, with a short way for the common forms,
 * because the general codec costs as much as the rest of a call.
 *
 * @module
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { DescMethod } from "@bufbuild/protobuf";
import { type KeyValue, type Request, RequestSchema, ResponseSchema } from "../../proto/ttrpc_pb.ts";
import type { Status } from "../../proto/rpc_status_pb.ts";

/** Field 2 of Response and field 3 of Request, length-delimited. */
const RESPONSE_PAYLOAD_TAG = 0x12;
const REQUEST_PAYLOAD_TAG = 0x1a;

const EMPTY = new Uint8Array();
const NO_METADATA: { key: string; value: string }[] = [];
const MAX_KEPT_TAILS = 64;
const timeoutTails = new Map<number, Uint8Array>();
const heads = new WeakMap<DescMethod, Uint8Array>();
/** Kept by tag and length: making a typed array takes longer than most of what is done with it. */
const shortHeads: Record<number, Uint8Array> = {};

/** The fields of a Request that are the same for each call of `method`. */
export function requestHead(method: DescMethod): Uint8Array {
  let head = heads.get(method);
  if (head === undefined) {
    head = toBinary(RequestSchema, create(RequestSchema, { service: method.parent.typeName, method: method.name }));
    heads.set(method, head);
  }
  return head;
}

/** The fields of a Request that few calls have. A message is the concatenation of its fields, so each part stands alone. */
export function requestTail(timeoutMs: number | undefined, header: Headers | undefined): Uint8Array {
  const metadata = header === undefined ? NO_METADATA : metadataPairs(header).map(([key, value]) => ({ key, value }));
  if (metadata.length === 0) return timeoutMs === undefined ? EMPTY : timeoutTail(timeoutMs);
  return encodeTail(timeoutMs ?? 0, metadata);
}

/** Kept, because the calls of a client share a few deadlines. */
function timeoutTail(timeoutMs: number): Uint8Array {
  let tail = timeoutTails.get(timeoutMs);
  if (tail === undefined) {
    tail = encodeTail(timeoutMs, []);
    if (timeoutTails.size >= MAX_KEPT_TAILS) timeoutTails.clear();
    timeoutTails.set(timeoutMs, tail);
  }
  return tail;
}

function encodeTail(timeoutMs: number, metadata: { key: string; value: string }[]): Uint8Array {
  return toBinary(RequestSchema, create(RequestSchema, { timeoutNano: BigInt(Math.ceil(timeoutMs * 1e6)), metadata }));
}

/** Tag and length that stand before the payload of a Request; nothing if it is empty. */
export function requestPayloadHead(payload: Uint8Array): Uint8Array {
  return payloadHead(REQUEST_PAYLOAD_TAG, payload.length);
}

/** Tag and length that stand before the payload of a Response; nothing if it is empty. */
export function responsePayloadHead(payload: Uint8Array): Uint8Array {
  return payloadHead(RESPONSE_PAYLOAD_TAG, payload.length);
}

export function encodeStatus(status: Status): Uint8Array {
  return toBinary(ResponseSchema, create(ResponseSchema, { status }));
}

/** @throws If the bytes are no Request. */
export function decodeRequest(data: Uint8Array): Request {
  return fromBinary(RequestSchema, data);
}

/** Status and payload of a Response; a status of code 0 is left out. @throws If the bytes are no Response. */
export function decodeResponse(data: Uint8Array): { status?: Status; payload: Uint8Array } {
  if (data.length === 0) return { payload: EMPTY };
  if (data[0] === RESPONSE_PAYLOAD_TAG) {
    const [length, at] = readVarint(data, 1);
    if (at + length === data.length) return { payload: data.subarray(at) };
  }
  const { status, payload } = fromBinary(ResponseSchema, data);
  return status === undefined || status.code === 0 ? { payload } : { status, payload };
}

function payloadHead(tag: number, length: number): Uint8Array {
  if (length === 0) return EMPTY;
  if (length < 0x80) return shortHeads[tag << 7 | length] ??= Uint8Array.of(tag, length);
  if (length < 0x4000) return Uint8Array.of(tag, 0x80 | length, length >>> 7);
  if (length < 0x20_0000) return Uint8Array.of(tag, 0x80 | length, 0x80 | (length >>> 7), length >>> 14);
  return Uint8Array.of(tag, 0x80 | length, 0x80 | (length >>> 7), 0x80 | (length >>> 14), length >>> 21);
}

/** Value and end of a varint below 2^28; a longer or broken one gives a value that fits no message here. */
function readVarint(data: Uint8Array, start: number): [value: number, end: number] {
  let value = 0;
  for (let at = start; at < Math.min(data.length, start + 4); at++) {
    const byte = data[at]!;
    value |= (byte & 0x7f) << (7 * (at - start));
    if (byte < 0x80) return [value, at + 1];
  }
  return [Number.MAX_SAFE_INTEGER, start];
}

type Values = Map<string, string[]>;

/** Not a class of its own: a guest whose agent never looks at metadata does not even load what Headers are made of. */
const VALUES = new WeakMap<Headers, Values>();

/**
 * Headers that remember the values of a key one by one: of several, `get()` gives them joined by commas, as in HTTP, while
 * ttRPC's peers in Go send and expect each for itself. Of other Headers the joined value is all that is known.
 */
export function toMetadata(init: HeadersInit = []): Headers {
  const headers = remembering();
  const pairs = init instanceof Headers ? metadataPairs(init) : pairsOf(init);
  for (const [key, value] of pairs) headers.append(key, value);
  return headers;
}

/** Reads what a peer has sent. Keys that HTTP does not allow are left out. */
export function fromMetadata(entries: readonly KeyValue[]): Headers {
  const headers = remembering();
  for (const { key, value } of entries) {
    try {
      headers.append(key, value);
    } catch {
      // A peer may send any bytes; a key that no header can have is one that nobody here asks for.
    }
  }
  return headers;
}

/** Each key, in small letters, with each of its values. */
function metadataPairs(headers: Headers): [key: string, value: string][] {
  const values = VALUES.get(headers);
  if (values === undefined) return [...headers];
  return [...values].flatMap(([key, each]) => each.map((value): [string, string] => [key, value]));
}

function remembering(): Headers {
  const headers = new Headers();
  const values: Values = new Map();
  VALUES.set(headers, values);
  return Object.assign(headers, {
    append(name: string, value: string) {
      Headers.prototype.append.call(headers, name, value);
      const key = name.toLowerCase();
      const known = values.get(key);
      if (known === undefined) values.set(key, [value]);
      else known.push(value);
    },
    set(name: string, value: string) {
      Headers.prototype.set.call(headers, name, value);
      values.set(name.toLowerCase(), [value]);
    },
    delete(name: string) {
      Headers.prototype.delete.call(headers, name);
      values.delete(name.toLowerCase());
    },
  });
}

function pairsOf(init: Exclude<HeadersInit, Headers>): readonly (readonly [string, string])[] {
  return Symbol.iterator in init ? [...init as Iterable<[string, string]>] : Object.entries(init);
}
