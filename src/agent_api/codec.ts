/**
 * Conversion between values of the specification and messages of the agent's protocol: one table per message serves both
 * directions. On the wire the zero of a type means "absent"; here `undefined` does.
 *
 * @module
 */
import type { Int64 } from "../oci/spec/spec.ts";

/** A field of a value that has no place on the wire. */
export interface LostField {
  /** Keys of the specification, with dots between: `linux.resources.unified`. */
  path: string;
  why: string;
}

/** Both directions of one kind of value. `decode` gives undefined for what stands for "absent". */
export interface Codec<T, W> {
  encode(value: T): W;
  decode(wire: W): T | undefined;
  /** Lists the fields that {@linkcode Codec.encode} leaves out; a codec without this leaves out none. */
  lost?(value: T): LostField[];
}

/** A codec of what is always there: the zero of its type is a value too. A required field has one. */
export interface TotalCodec<T, W> extends Codec<T, W> {
  decode(wire: W): T;
}

export const text: Codec<string, string> = { encode: (value) => value, decode: (wire) => wire || undefined };

export const flag: Codec<boolean, boolean> = { encode: (value) => value, decode: (wire) => wire || undefined };

export const uint32: Codec<number, number> = { encode: (value) => value, decode: (wire) => wire || undefined };

/** A text that may be empty, which `validate.ts` judges. */
export const anyText: TotalCodec<string, string> = { encode: (value) => value, decode: (wire) => wire };

/** A number whose zero is a value: ids of users, positions. */
export const count: TotalCodec<number, number> = { encode: (value) => value, decode: (wire) => wire };

/** A boolean whose `false` is a value. */
export const truth: TotalCodec<boolean, boolean> = { encode: (value) => value, decode: (wire) => wire };

export const int64: Codec<Int64, bigint> = {
  encode: (value) => BigInt(value),
  decode: (wire) => wire === 0n ? undefined : exact(wire),
};

/** A 64-bit integer whose zero is a value. */
export const count64: TotalCodec<Int64, bigint> = { encode: (value) => BigInt(value), decode: exact };

/** Signed here and unsigned there: -1, "not set", is the largest number on the wire, as some engines write it as well. */
export const wrapped64: Codec<Int64, bigint> = {
  encode: (value) => BigInt.asUintN(64, BigInt(value)),
  decode: (wire) => int64.decode(BigInt.asIntN(64, wire)),
};

/** A 64-bit integer that fits into a number. */
export const small64: Codec<number, bigint> = {
  encode: (value) => BigInt(value),
  decode: (wire) => wire === 0n ? undefined : Number(wire),
};

/** A 64-bit integer that fits into a number and whose zero is a value. */
export const number64: TotalCodec<number, bigint> = { encode: BigInt, decode: Number };

/** Device numbers: -1 is "any". */
export const deviceNumber: Codec<number, bigint> = {
  encode: (value) => BigInt(value),
  decode: (wire) => wire < 0n ? undefined : Number(wire),
};

function exact(wire: bigint): Int64 {
  const value = Number(wire);
  return Number.isSafeInteger(value) ? value : wire;
}

/** A string of a closed set; words that the set lacks pass through and are refused by `validate.ts`. */
export function word<T extends string>(): Codec<T, string> {
  return { encode: (value) => value, decode: (wire) => wire === "" ? undefined : wire as T };
}

/** A word of a closed set that must be there. */
export function anyWord<T extends string>(): TotalCodec<T, string> {
  return { encode: (value) => value, decode: (wire) => wire as T };
}

export function list<T, W>(item: Codec<T, W>): Codec<T[], W[]> {
  return {
    encode: (values) => values.map((value) => item.encode(value)),
    decode: (wires) => wires.length === 0 ? undefined : wires.map((wire) => item.decode(wire) as T),
    lost: (values) => values.flatMap((value) => item.lost?.(value) ?? []),
  };
}

/** A list of plain values, none of which is "absent". */
export function plainList<T>(): Codec<T[], T[]> {
  return { encode: (values) => values, decode: (wires) => wires.length === 0 ? undefined : wires };
}

/** A list that may be empty. */
export function anyList<T>(): TotalCodec<T[], T[]> {
  return { encode: (values) => values, decode: (wires) => wires };
}

export const textMap: Codec<Record<string, string>, Record<string, string>> = {
  encode: (value) => value,
  decode: (wire) => Object.keys(wire).length === 0 ? undefined : { ...wire },
};

type Wire<W, N extends keyof W> = NonNullable<W[N]>;

/** A row for a field that the message has no place for. */
export interface NotCarried {
  notCarried: string;
}

type FieldCodec<T, W> = undefined extends T ? Codec<NonNullable<T>, W> : TotalCodec<T, W>;

/** By name in the specification: the name in the message, and the kind of value; or why the message lacks it. */
export type Fields<T, W> = {
  [K in keyof T]-?:
    | { [N in keyof W]: readonly [name: N, codec: FieldCodec<T[K], Wire<W, N>>] }[keyof W]
    | NotCarried;
};

type Row = readonly [name: string, codec: Codec<unknown, unknown>];

/**
 * Codec of a message by its fields. Each field of the specification's type has a row: a new one does not compile before
 * it is carried, or said to be left out.
 *
 * @param absent Values in the message for what the specification leaves out, where the zero of the type means something
 *   else.
 */
export function message<T extends object, W extends object>(
  fields: Fields<T, W>,
  absent: Partial<Record<keyof T, unknown>> = {},
): TotalCodec<T, W> {
  const all = Object.entries(fields) as unknown as [key: keyof T & string, row: Row | NotCarried][];
  const rows = all.filter((entry): entry is [keyof T & string, Row] => !("notCarried" in entry[1]));
  return {
    encode(value) {
      const encoded = rows.flatMap(([key, [name, codec]]) => {
        if (value[key] !== undefined && value[key] !== null) return [[name, codec.encode(value[key])] as const];
        return key in absent ? [[name, absent[key]] as const] : [];
      });
      return Object.fromEntries(encoded) as W;
    },
    decode(wire) {
      const decoded = rows.flatMap(([key, [name, codec]]) => {
        const field = (wire as Record<string, unknown>)[name];
        const value = field === undefined ? undefined : codec.decode(field);
        return value === undefined ? [] : [[key, value] as const];
      });
      return Object.fromEntries(decoded) as T;
    },
    lost(value) {
      return all.filter(([key]) => value[key] !== undefined).flatMap(([key, row]) => {
        if ("notCarried" in row) return [{ path: key, why: row.notCarried }];
        return lostBelow(row[1], value[key], key);
      });
    },
  };
}

function lostBelow<T>(codec: Codec<T, unknown>, value: T, path: string): LostField[] {
  const below = codec.lost?.(value) ?? [];
  return below.map((field) => ({ ...field, path: `${path}.${field.path}` }));
}
