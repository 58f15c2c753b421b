/** Protobuf messages from their descriptors, and bytes that are nearly such messages. @module */
import {
  create,
  type DescField,
  type DescMessage,
  type MessageInitShape,
  type MessageShape,
  ScalarType,
  toBinary,
} from "@bufbuild/protobuf";
import { joinBytes, mutateBytes } from "./bytes.ts";
import type { Random } from "./random.ts";
import { anyText, textLike } from "./text.ts";

/** Values of a field of this name in good messages: texts that get further than random ones. */
export type Words = Readonly<Record<string, readonly string[]>>;

export interface MessageOptions {
  /** By the field's name in the schema, such as `container_id`. */
  words?: Words;
  /** How deep messages hold messages. Default: 5. */
  depth?: number;
  /** The most entries of a repeated field. Default: 4. */
  most?: number;
}

/** A message of the schema that can be encoded. Each field is set in two of three cases. */
export function anyMessage<D extends DescMessage>(
  random: Random,
  schema: D,
  options: MessageOptions = {},
): MessageShape<D> {
  const message: Record<string, unknown> = {};
  for (const member of schema.members) {
    if (random.once(3)) continue;
    if (member.kind === "oneof") {
      const field = random.pick(member.fields);
      message[member.localName] = { case: field.localName, value: anyField(random, field, options) };
    } else message[member.localName] = anyField(random, member, options);
  }
  for (const [key, value] of Object.entries(message)) if (value === undefined) delete message[key];
  return create(schema, message as MessageInitShape<D>);
}

function anyField(random: Random, field: DescField, options: MessageOptions): unknown {
  const { depth = 5, most = 4 } = options;
  const deeper = { ...options, depth: depth - 1 };
  switch (field.fieldKind) {
    case "scalar":
      return anyScalar(random, { field, type: field.scalar, options });
    case "enum":
      return random.once(4) ? random.integer() | 0 : random.pick(field.enum.values).number;
    case "message":
      return depth > 0 ? anyMessage(random, field.message, deeper) : undefined;
    case "list":
      return random.times(depth > 0 ? random.few(most) : 0, () => {
        if (field.listKind === "message") return anyMessage(random, field.message, deeper);
        if (field.listKind === "enum") return random.pick(field.enum.values).number;
        return anyScalar(random, { field, type: field.scalar, options });
      });
    case "map":
      return anyMap(random, field, deeper);
  }
}

function anyMap(random: Random, field: DescField & { fieldKind: "map" }, options: MessageOptions): unknown {
  const map: Record<string, unknown> = {};
  for (let entry = random.few(4); entry > 0; entry--) {
    const key = String(anyScalar(random, { field, type: field.mapKey, options }));
    const value = field.mapKind === "message"
      ? anyMessage(random, field.message, options)
      : field.mapKind === "enum"
      ? random.pick(field.enum.values).number
      : anyScalar(random, { field, type: field.scalar, options });
    Object.defineProperty(map, key, { value, enumerable: true, writable: true, configurable: true });
  }
  return map;
}

interface Wanted {
  field: DescField;
  type: ScalarType;
  options: MessageOptions;
}

function anyScalar(random: Random, { field, type, options }: Wanted): unknown {
  switch (type) {
    case ScalarType.STRING: {
      const words = options.words?.[field.name] ?? [];
      // Lone surrogates have no bytes.
      return (words.length > 0 ? textLike(random, words) : anyText(random)).toWellFormed();
    }
    case ScalarType.BYTES:
      return random.bytes(random.few(40));
    case ScalarType.BOOL:
      return random.once(2);
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return random.pick([0, -1.5, 1e38, NaN, Infinity]);
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return random.big({ signed: true });
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return random.big({ signed: false });
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return random.integer() >>> 0;
    default:
      return random.integer() | 0;
  }
}

/** The bytes of such a message; in one of four cases changed, cut, or followed by foreign fields. */
export function anyMessageBytes(
  random: Random,
  schema: DescMessage,
  options: MessageOptions = {},
): Uint8Array<ArrayBuffer> {
  const bytes = toBinary(schema, anyMessage(random, schema, options));
  if (!random.once(4)) return Uint8Array.from(bytes);
  if (random.once(3)) return joinBytes([bytes, random.bytes(random.few(20))]);
  return mutateBytes(random, bytes);
}
