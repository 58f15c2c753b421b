/**
 * The fields of a message's description, built when somebody first asks for them: a program describes some 250 messages
 * with 1,200 fields, and uses a few dozen of them. Only what proto3 has.
 *
 * @module
 */
import type { DescField, DescMessage, DescOneof, FileRegistry } from "@bufbuild/protobuf";

/** Fields read of a FieldDescriptorProto. */
export interface FieldProto {
  name: string;
  number: number;
  label: number;
  type: number;
  typeName: string;
  jsonName: string;
  oneofIndex: number;
  proto3Optional: boolean;
  options?: { packed?: boolean; deprecated?: boolean };
}

/** The parts of a message's description that wait. */
export interface MessageParts {
  fields: readonly FieldProto[];
  oneofs: readonly string[];
}

/** The values of FieldDescriptorProto.Type and Label that matter here. */
const TYPE = { string: 9, message: 11, bytes: 12, enum: 14 } as const;
const REPEATED = 3;
const PRESENCE = { explicit: 1, implicit: 2 } as const;

type Members = Pick<DescMessage, "fields" | "field" | "oneofs" | "members">;

/** Makes a description without fields read them from `parts` on the first access. */
export function defineLazyFields(message: DescMessage, parts: () => MessageParts, registry: FileRegistry): void {
  let built: Members | undefined;
  const member = <K extends keyof Members>(key: K) => ({
    get: () => (built ??= buildMembers(message, parts(), registry))[key],
    enumerable: true,
  });
  Object.defineProperties(message, {
    fields: member("fields"),
    field: member("field"),
    oneofs: member("oneofs"),
    members: member("members"),
  });
}

function buildMembers(message: DescMessage, parts: MessageParts, registry: FileRegistry): Members {
  const oneofs = parts.oneofs.map((name) => newOneof(message, name));
  const members: (DescField | DescOneof)[] = [];
  const fields = parts.fields.map((proto) => {
    // An optional field sits alone in a oneof that nobody sees.
    const oneof = Object.hasOwn(proto, "oneofIndex") && !proto.proto3Optional ? oneofs[proto.oneofIndex] : undefined;
    const field = newField(proto, { message, oneof, registry });
    if (oneof === undefined) members.push(field);
    else {
      if (oneof.fields.length === 0) members.push(oneof);
      oneof.fields.push(field);
    }
    return field;
  });
  const field = Object.fromEntries(fields.map((each) => [each.localName, each]));
  return { fields, field, oneofs: oneofs.filter((oneof) => oneof.fields.length > 0), members };
}

function newOneof(parent: DescMessage, name: string): DescOneof {
  return {
    kind: "oneof",
    proto: { $typeName: "google.protobuf.OneofDescriptorProto", name },
    deprecated: false,
    parent,
    name,
    localName: safeProperty(camelCase(name)),
    fields: [],
    toString: () => `oneof ${parent.typeName}.${name}`,
  };
}

interface FieldContext {
  message: DescMessage;
  oneof: DescOneof | undefined;
  registry: FileRegistry;
}

function newField(proto: FieldProto, { message, oneof, registry }: FieldContext): DescField {
  const name = camelCase(proto.name);
  const field = {
    kind: "field",
    proto,
    deprecated: proto.options?.deprecated ?? false,
    name: proto.name,
    number: proto.number,
    scalar: undefined,
    message: undefined,
    enum: undefined,
    presence: presenceOf(proto, oneof),
    utf8Validation: true,
    listKind: undefined,
    mapKind: undefined,
    mapKey: undefined,
    delimitedEncoding: undefined,
    packed: undefined,
    longAsString: false,
    getDefaultValue: undefined,
    parent: message,
    oneof,
    localName: oneof === undefined ? safeProperty(name) : name,
    jsonName: proto.jsonName,
    toString: () => `field ${message.typeName}.${proto.name}`,
    ...kindOf(proto, message, registry),
  };
  return field as unknown as DescField;
}

function presenceOf({ label, type, proto3Optional }: FieldProto, oneof: DescOneof | undefined): number {
  if (label === REPEATED) return PRESENCE.implicit;
  return oneof !== undefined || proto3Optional || type === TYPE.message ? PRESENCE.explicit : PRESENCE.implicit;
}

/** Properties by which the kinds of fields differ. */
function kindOf(proto: FieldProto, message: DescMessage, registry: FileRegistry): Record<string, unknown> {
  const { kind, ...value } = valueOf(proto, registry);
  if (proto.label !== REPEATED) return { fieldKind: kind, ...value, getDefaultValue: () => undefined };
  const entry = mapEntryOf(proto, message);
  if (entry === undefined) return { fieldKind: "list", listKind: kind, ...value, packed: isPacked(proto) };
  const [keyField, valueField] = entry.fields.toSorted((a, b) => a.number - b.number);
  const { kind: mapKind, ...mapValue } = valueOf(valueField!, registry);
  return { fieldKind: "map", mapKey: keyField!.type, mapKind, ...mapValue, delimitedEncoding: false };
}

function valueOf({ type, typeName }: FieldProto, registry: FileRegistry) {
  const name = typeName.slice(1); // it is written with a dot before it
  switch (type) {
    case TYPE.message:
      return { kind: "message", message: registry.getMessage(name), delimitedEncoding: false };
    case TYPE.enum:
      return { kind: "enum", enum: registry.getEnum(name) };
    default:
      return { kind: "scalar", scalar: type };
  }
}

/** A map field is a list of messages that the compiler nested beside it and marked. */
function mapEntryOf(proto: FieldProto, message: DescMessage): MessageParts | undefined {
  const prefix = `.${message.typeName}.`;
  if (proto.type !== TYPE.message || !proto.typeName.startsWith(prefix)) return undefined;
  const nested = message.proto.nestedType.find(({ name }) => name === proto.typeName.slice(prefix.length));
  return nested?.options?.mapEntry ? (nested as unknown as { parts(): MessageParts }).parts() : undefined;
}

function isPacked({ type, options }: FieldProto): boolean {
  if (type === TYPE.string || type === TYPE.bytes || type === TYPE.message) return false;
  return options !== undefined && Object.hasOwn(options, "packed") ? options.packed! : true;
}

/** `max_size` as `maxSize`. */
export function camelCase(name: string): string {
  return name.includes("_") ? name.replace(/_+(.?)/g, (_, next: string) => next.toUpperCase()) : name;
}

/** Names that every object has already. */
function safeProperty(name: string): string {
  return ["constructor", "toString", "toJSON", "valueOf"].includes(name) ? `${name}$` : name;
}
