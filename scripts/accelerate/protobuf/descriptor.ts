/**
 * Functions that the generated code beside this file calls to describe its messages; `deno.json` puts this file in the
 * place of the library's module. The library decodes each file's description with that of `descriptor.proto`, which it
 * has to build first, out of 65 kB of source: a third of what starting the agent in an emulated guest costs. The reader
 * below knows the few fields that matter and is all that is needed.
 *
 * @module
 */
import { createFileRegistry, type DescFile, type DescMessage, type FileRegistry } from "@bufbuild/protobuf";
import type { GenFile } from "@bufbuild/protobuf/codegenv2";
import type { FileDescriptorProto } from "@bufbuild/protobuf/wkt";
import { camelCase, defineLazyFields, type FieldProto, type MessageParts } from "./lazy_fields.ts";

export { enumDesc, messageDesc, serviceDesc } from "@bufbuild/protobuf/codegenv2";
export type * from "@bufbuild/protobuf/codegenv2";

/** How a field of a description is read: `many` collects repeated ones. */
interface Field {
  name: string;
  type: "string" | "number" | "boolean" | "bytes" | Shape;
  many?: true;
}

/** A message of descriptor.proto: what it is when nothing is set, and the fields that a registry looks at. */
interface Shape {
  typeName: string;
  /** Stands in the prototype, so that only what was set is the object's own, as the library checks. */
  defaults: Readonly<Record<string, unknown>>;
  /** Repeated fields that are never read, and must be there. */
  empty?: readonly string[];
  fields: Readonly<Record<number, Field>>;
}

const NAME = { name: "name", type: "string" } as const;

const ENUM: Shape = {
  typeName: "google.protobuf.EnumDescriptorProto",
  defaults: { visibility: 0 },
  empty: ["reservedRange", "reservedName"],
  fields: {
    1: NAME,
    2: {
      name: "value",
      type: {
        typeName: "google.protobuf.EnumValueDescriptorProto",
        defaults: { name: "", number: 0 },
        fields: { 1: NAME, 2: { name: "number", type: "number" } },
      },
      many: true,
    },
  },
};

const FIELD: Shape = {
  typeName: "google.protobuf.FieldDescriptorProto",
  defaults: {
    label: 1,
    typeName: "",
    extendee: "",
    defaultValue: "",
    oneofIndex: 0,
    jsonName: "",
    proto3Optional: false,
  },
  fields: {
    1: NAME,
    3: { name: "number", type: "number" },
    4: { name: "label", type: "number" },
    5: { name: "type", type: "number" },
    6: { name: "typeName", type: "string" },
    8: {
      name: "options",
      type: {
        typeName: "google.protobuf.FieldOptions",
        defaults: {
          ctype: 0,
          packed: false,
          jstype: 0,
          lazy: false,
          unverifiedLazy: false,
          deprecated: false,
          weak: false,
        },
        empty: ["targets", "editionDefaults", "uninterpretedOption"],
        fields: { 2: { name: "packed", type: "boolean" }, 3: { name: "deprecated", type: "boolean" } },
      },
    },
    9: { name: "oneofIndex", type: "number" },
    10: { name: "jsonName", type: "string" },
    17: { name: "proto3Optional", type: "boolean" },
  },
};

const MESSAGE_FIELDS: Record<number, Field> = {
  1: NAME,
  2: { name: "fieldBytes", type: "bytes", many: true },
  4: { name: "enumType", type: ENUM, many: true },
  7: {
    name: "options",
    type: {
      typeName: "google.protobuf.MessageOptions",
      defaults: {
        messageSetWireFormat: false,
        noStandardDescriptorAccessor: false,
        deprecated: false,
        mapEntry: false,
      },
      empty: ["uninterpretedOption"],
      fields: { 7: { name: "mapEntry", type: "boolean" } },
    },
  },
  8: { name: "oneofBytes", type: "bytes", many: true },
};

const MESSAGE: Shape = {
  typeName: "google.protobuf.DescriptorProto",
  defaults: { visibility: 0 },
  // Fields and oneofs are left as bytes, and are read when somebody asks for them.
  empty: ["field", "oneofDecl", "extension", "extensionRange", "reservedRange", "reservedName"],
  fields: MESSAGE_FIELDS,
};
MESSAGE_FIELDS[3] = { name: "nestedType", type: MESSAGE, many: true };

const ONEOF: Shape = {
  typeName: "google.protobuf.OneofDescriptorProto",
  defaults: { name: "" },
  fields: { 1: NAME },
};

const METHOD: Shape = {
  typeName: "google.protobuf.MethodDescriptorProto",
  defaults: { clientStreaming: false, serverStreaming: false },
  fields: {
    1: NAME,
    2: { name: "inputType", type: "string" },
    3: { name: "outputType", type: "string" },
    5: { name: "clientStreaming", type: "boolean" },
    6: { name: "serverStreaming", type: "boolean" },
  },
};

const FILE: Shape = {
  typeName: "google.protobuf.FileDescriptorProto",
  defaults: { package: "", syntax: "", edition: 0 },
  empty: ["publicDependency", "weakDependency", "optionDependency", "extension"],
  fields: {
    1: NAME,
    2: { name: "package", type: "string" },
    4: { name: "messageType", type: MESSAGE, many: true },
    5: { name: "enumType", type: ENUM, many: true },
    6: {
      name: "service",
      type: {
        typeName: "google.protobuf.ServiceDescriptorProto",
        defaults: { name: "" },
        fields: { 1: NAME, 2: { name: "method", type: METHOD, many: true } },
      },
      many: true,
    },
    12: { name: "syntax", type: "string" },
    14: { name: "edition", type: "number" },
  },
};

/**
 * The description of a .proto file.
 *
 * @param base64 A FileDescriptorProto without its imports, as the generator writes it.
 * @param imports The descriptions of the files that it imports.
 */
export function fileDesc(base64: string, imports: readonly DescFile[] = []): GenFile {
  const file = readMessage(FILE, Uint8Array.fromBase64(base64, { lastChunkHandling: "loose" }));
  file.dependency = imports.map(({ proto }) => proto.name);
  for (const message of file.messageType as LazyMessage[]) defineParts(message);
  const registry = createFileRegistry(
    file as unknown as FileDescriptorProto,
    (path) => imports.find(({ proto }) => proto.name === path),
  );
  const described = registry.getFile(String(file.name))!;
  for (const message of described.messages) deferFields(message, registry);
  return described as GenFile;
}

type Values = Record<string, unknown>;

/** A DescriptorProto whose fields are read on demand. */
interface LazyMessage {
  fieldBytes: Uint8Array[];
  oneofBytes: Uint8Array[];
  nestedType: LazyMessage[];
  parts: () => MessageParts;
}

function defineParts(message: LazyMessage): void {
  message.parts = () => ({
    fields: message.fieldBytes.map(readField),
    oneofs: message.oneofBytes.map((bytes) => String(readMessage(ONEOF, bytes).name)),
  });
  message.nestedType.forEach(defineParts);
}

function readField(bytes: Uint8Array): FieldProto {
  const field = readMessage(FIELD, bytes) as unknown as FieldProto;
  // The generator leaves out the names that follow from the rule of proto3's JSON form.
  if (!Object.hasOwn(field, "jsonName")) field.jsonName = camelCase(field.name);
  return field;
}

function deferFields(message: DescMessage, registry: FileRegistry): void {
  defineLazyFields(message, (message.proto as unknown as LazyMessage).parts, registry);
  for (const nested of message.nestedMessages) deferFields(nested, registry);
}

const decoder = new TextDecoder();

function readMessage(shape: Shape, bytes: Uint8Array): Values {
  const message: Values = Object.create(shape.defaults);
  message.$typeName = shape.typeName;
  for (const name of shape.empty ?? []) message[name] = [];
  for (const { name, many } of Object.values(shape.fields)) if (many) message[name] = [];
  for (let offset = 0; offset < bytes.length;) {
    const tag = readVarint(bytes, offset);
    const number = readVarint(bytes, tag.end);
    const isBytes = (tag.value & 7) === 2;
    offset = isBytes ? number.end + number.value : number.end;
    const field = shape.fields[tag.value >>> 3];
    if (field === undefined) continue;
    const value = isBytes ? readBytes(field, bytes.subarray(number.end, offset)) : readNumber(field, number.value);
    if (field.many) (message[field.name] as unknown[]).push(value);
    else message[field.name] = value;
  }
  return message;
}

function readBytes({ type }: Field, bytes: Uint8Array): unknown {
  if (type === "bytes") return bytes;
  return typeof type === "object" ? readMessage(type, bytes) : decoder.decode(bytes);
}

function readNumber({ type }: Field, value: number): unknown {
  return type === "boolean" ? value !== 0 : value;
}

/** Nothing in a description is above 2^31, nor of a fixed width. */
function readVarint(bytes: Uint8Array, start: number): { value: number; end: number } {
  let value = 0;
  for (let end = start;; end++) {
    const byte = bytes[end];
    if (byte === undefined) throw new RangeError("Cannot read the description of a message: it is cut off");
    value |= (byte & 0x7f) << 7 * (end - start);
    if (byte < 0x80) return { value, end: end + 1 };
  }
}
