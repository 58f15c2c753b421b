/**
 * The language in which the fields of a configuration are written down, once: a shape is data, of which the types are
 * derived ({@linkcode Infer}) and which values that are read are held against ({@linkcode checkShape}). Values of another
 * type would fail later with words that name no key, or change what is made: `"terminal": "no"` is true, and a uid of
 * `"root"` is 0 to the kernel.
 *
 * @module
 */

/** A 64-bit integer: a number while that is exact, a bigint beyond 2^53. */
export type Int64 = number | bigint;

/** Types of the leaves, by name. */
interface LeafTypes {
  text: string;
  flag: boolean;
  /** Held by a JavaScript number without loss. */
  small: number;
  integer: Int64;
  count: Int64;
  u32: number;
}

/** Fields of an object, by key: the shape of each. */
export interface Fields {
  readonly [key: string]: Shape;
}

/** An object with known keys. Others may hold anything: they are of a later specification, or somebody's own. */
export interface ObjectShape {
  /** Filled in where a configuration lacks them ({@linkcode complete}); `validate.ts` refuses those that must not be empty. */
  readonly required?: Fields;
  readonly optional?: Fields;
}

/** Type of a value: a leaf by its name, `[item]` for a list, any keys with values of one shape, or an object. */
export type Shape =
  | keyof LeafTypes
  | readonly [Shape]
  | { readonly values: Shape }
  /** A text of a closed set; `validate.ts` refuses others by a message of their own. */
  | { readonly words: readonly string[] }
  | ObjectShape;

/** The type of the values that have a shape. */
export type Infer<S> = S extends keyof LeafTypes ? LeafTypes[S]
  : S extends readonly [infer Item] ? Infer<Item>[]
  : S extends { readonly values: infer Value } ? Record<string, Infer<Value>>
  : S extends { readonly words: readonly (infer Word)[] } ? Word
  : InferFields<S, "required"> & Partial<InferFields<S, "optional">>;

type InferFields<S, Group extends string> = S extends { readonly [G in Group]: infer F }
  ? { -readonly [K in keyof F]: Infer<F[K]> }
  : unknown;

const LEAVES: Record<keyof LeafTypes, { is: (value: unknown) => boolean; what: string }> = {
  text: { is: (value) => typeof value === "string", what: "text" },
  flag: { is: (value) => typeof value === "boolean", what: "true or false" },
  small: { is: Number.isSafeInteger, what: "a whole number within 2^53" },
  integer: { is: (value) => isIntegerIn(value, -(2n ** 63n), 2n ** 64n - 1n), what: "a whole number" },
  count: { is: (value) => isIntegerIn(value, 0n, 2n ** 64n - 1n), what: "a whole number from 0" },
  u32: { is: (value) => isIntegerIn(value, 0n, 2n ** 32n - 1n), what: "a whole number from 0 to 4294967295" },
};

function isIntegerIn(value: unknown, from: bigint, to: bigint): boolean {
  const isWhole = typeof value === "bigint" || Number.isInteger(value);
  return isWhole && BigInt(value as number) >= from && BigInt(value as number) <= to;
}

/**
 * Checks the types of what is there, and not what is missing.
 *
 * @param path Of the value, for the message.
 * @throws {TypeError} Naming the first value of another type.
 */
export function checkShape(value: unknown, shape: Shape, path = ""): void {
  if (isLeaf(shape)) {
    const { is, what } = LEAVES[typeof shape === "string" ? shape : "text"];
    if (!is(value)) throw wrong(value, path, what);
  } else if (isList(shape)) {
    if (!Array.isArray(value)) throw wrong(value, path, "a list");
    for (let index = 0; index < value.length; index++) checkShape(value[index], shape[0], `${path}[${index}]`);
  } else {
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong(value, path, "an object");
    for (const [key, inner] of Object.entries(value)) {
      const expected = shapeOfKey(shape, key);
      if (expected !== undefined) checkShape(inner, expected, path === "" ? key : `${path}.${key}`);
    }
  }
}

/**
 * Adds what a checked value lacks of the required keys, as the specification's own library reads them: 0, false, an empty
 * text or list. So a value has its type ({@linkcode Infer}), and the rules of `validate.ts` see what is empty.
 */
export function complete(value: unknown, shape: Shape): void {
  if (isLeaf(shape)) return;
  if (isList(shape)) {
    if (!isLeaf(shape[0])) { for (const item of value as unknown[]) complete(item, shape[0]); }
    return;
  }
  const object = value as Record<string, unknown>;
  if ("required" in shape) {
    for (const key in shape.required) if (object[key] === undefined) object[key] = emptyOf(shape.required[key]!);
  }
  for (const key of Object.keys(object)) {
    const inner = shapeOfKey(shape, key);
    if (inner !== undefined) complete(object[key], inner);
  }
}

function emptyOf(shape: Shape): unknown {
  if (shape === "flag") return false;
  if (isLeaf(shape)) return shape === "text" || typeof shape === "object" ? "" : 0;
  return isList(shape) ? [] : {};
}

function isLeaf(shape: Shape): shape is Extract<Shape, string | { words: unknown }> {
  return typeof shape === "string" || "words" in shape;
}

function shapeOfKey(shape: ObjectShape | { readonly values: Shape }, key: string): Shape | undefined {
  if ("values" in shape) return shape.values;
  const { required, optional } = shape;
  if (required !== undefined && Object.hasOwn(required, key)) return required[key];
  return optional !== undefined && Object.hasOwn(optional, key) ? optional[key] : undefined;
}

function isList(shape: Shape): shape is readonly [Shape] {
  return Array.isArray(shape);
}

function wrong(value: unknown, path: string, what: string): TypeError {
  const text = JSON.stringify(value, (_, inner) => typeof inner === "bigint" ? String(inner) : inner) ?? "null";
  const shown = text.length > 60 ? `${text.slice(0, 60)}…` : text;
  return new TypeError(`Cannot use ${path || "the document"}: it is ${shown}, not ${what}`);
}
