/**
 * The messages of google/protobuf that the wire uses, in the place of the library's module (`deno.json`), whose own
 * descriptions would bring back all that `descriptor.ts` saves.
 *
 * @module
 */
import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import type { GenFile, GenMessage } from "@bufbuild/protobuf/codegenv2";
import type { Any, Empty, Timestamp } from "@bufbuild/protobuf/wkt";
import { fileDesc, messageDesc } from "./descriptor.ts";

export type { Any, Empty, Timestamp };

export const file_google_protobuf_any: GenFile = /*@__PURE__*/ fileDesc(
  "Chlnb29nbGUvcHJvdG9idWYvYW55LnByb3RvEg9nb29nbGUucHJvdG9idWYiJgoDQW55EhAKCHR5cGVfdXJsGAEgASgJEg0KBXZhbHVlGAIgASgMYgZwcm90bzM",
);
export const AnySchema: GenMessage<Any> = /*@__PURE__*/ messageDesc(file_google_protobuf_any, 0);

export const file_google_protobuf_empty: GenFile = /*@__PURE__*/ fileDesc(
  "Chtnb29nbGUvcHJvdG9idWYvZW1wdHkucHJvdG8SD2dvb2dsZS5wcm90b2J1ZiIHCgVFbXB0eWIGcHJvdG8z",
);
export const EmptySchema: GenMessage<Empty> = /*@__PURE__*/ messageDesc(file_google_protobuf_empty, 0);

export const file_google_protobuf_timestamp: GenFile = /*@__PURE__*/ fileDesc(
  "Ch9nb29nbGUvcHJvdG9idWYvdGltZXN0YW1wLnByb3RvEg9nb29nbGUucHJvdG9idWYiKwoJVGltZXN0YW1wEg8KB3NlY29uZHMYASABKAMSDQoFbmFub3MYAiABKAViBnByb3RvMw",
);
export const TimestampSchema: GenMessage<Timestamp> = /*@__PURE__*/ messageDesc(file_google_protobuf_timestamp, 0);

/** Packs a message with its name as protobuf writes it: `type.googleapis.com/` and the type. */
export function anyPack<D extends DescMessage>(schema: D, message: MessageShape<D>): Any {
  return create(AnySchema, { typeUrl: `type.googleapis.com/${schema.typeName}`, value: toBinary(schema, message) });
}

/** Whether a message of this type is packed, with or without a host before its name. */
export function anyIs(any: Any, schema: DescMessage): boolean {
  return any.typeUrl.slice(any.typeUrl.lastIndexOf("/") + 1) === schema.typeName;
}

/** The packed message; undefined if it is of another type. */
export function anyUnpack<D extends DescMessage>(any: Any, schema: D): MessageShape<D> | undefined {
  return anyIs(any, schema) ? fromBinary(schema, any.value) : undefined;
}

export function timestampFromDate(date: Date): Timestamp {
  return timestampFromMs(date.getTime());
}

/** @param ms Milliseconds since 1970; parts of one are kept. */
export function timestampFromMs(ms: number): Timestamp {
  const seconds = Math.floor(ms / 1000);
  return create(TimestampSchema, { seconds: BigInt(seconds), nanos: Math.round((ms - seconds * 1000) * 1e6) });
}

/** Milliseconds since 1970. */
export function timestampMs({ seconds, nanos }: Timestamp): number {
  return Number(seconds) * 1000 + Math.round(nanos / 1e6);
}

export function timestampDate(timestamp: Timestamp): Date {
  return new Date(timestampMs(timestamp));
}
