/** How much a message of the guest's agent may hold, whatever it says. @module */
import type { DescField, DescMessage, MessageShape } from "@bufbuild/protobuf";

/** Devices, interfaces, sizes of huge pages, counters, features. */
const MOST_ENTRIES = 1024;
/** One number per CPU: as many as a kernel can be built for. */
const MOST_NUMBERS = 8192;
/** A name, a path, an address. */
const TEXT_BYTES = 4096;

export interface Bounds {
  /** Of each text and each run of bytes. Default: 4 KiB. */
  textBytes?: number;
}

/**
 * A check of messages of this kind, which returns the message.
 *
 * @returns It throws a RangeError naming the field: more than 1,024 entries of a list or map (8,192 plain numbers), or a
 * text beyond the bound.
 */
export function bounded<M extends DescMessage>(
  schema: M,
  { textBytes = TEXT_BYTES }: Bounds = {},
): (message: MessageShape<M>) => MessageShape<M> {
  return (message) => {
    checkMessage(schema, message as unknown as Fields, textBytes);
    return message;
  };
}

type Fields = Readonly<Record<string, unknown>>;

function checkMessage(schema: DescMessage, message: Fields, textBytes: number): void {
  // Fields that we do not know have no bound.
  delete (message as { $unknown?: unknown }).$unknown;
  for (const field of schema.fields) {
    const value = field.oneof === undefined ? message[field.localName] : inOneof(field, message);
    if (value !== undefined) checkField(field, value, textBytes);
  }
}

function inOneof(field: DescField, message: Fields): unknown {
  const chosen = message[field.oneof!.localName] as { case?: string; value?: unknown };
  return chosen.case === field.localName ? chosen.value : undefined;
}

function checkField(field: DescField, value: unknown, textBytes: number): void {
  if (field.fieldKind === "list") {
    const list = value as readonly unknown[];
    checkCount(field, list.length, isNumber(list[0]) ? MOST_NUMBERS : MOST_ENTRIES);
    for (const each of list) checkValue(field, each, textBytes);
  } else if (field.fieldKind === "map") {
    const entries = Object.entries(value as Fields);
    checkCount(field, entries.length, MOST_ENTRIES);
    for (const [key, each] of entries) {
      checkText(field, key, TEXT_BYTES);
      checkValue(field, each, textBytes);
    }
  } else checkValue(field, value, textBytes);
}

function checkValue(field: DescField, value: unknown, textBytes: number): void {
  if (typeof value === "string" || value instanceof Uint8Array) checkText(field, value, textBytes);
  else if (field.message !== undefined) checkMessage(field.message, value as Fields, textBytes);
}

function checkCount(field: DescField, count: number, most: number): void {
  if (count > most) throw new RangeError(`${count} of ${field.name}, at most ${most} are taken`);
}

function checkText(field: DescField, text: string | Uint8Array, most: number): void {
  if (text.length > most) throw new RangeError(`${text.length} bytes of ${field.name}, at most ${most} are taken`);
}

function isNumber(value: unknown): boolean {
  return typeof value === "number" || typeof value === "bigint";
}
