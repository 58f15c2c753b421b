/** Values of a shape, for property tests; and what a shape names. @module */
import fc from "fast-check";
import type { Fields, Infer, ObjectShape, Shape } from "../shape.ts";

export interface ValuesOptions {
  /** Fields that never occur, by path. */
  without?: readonly string[];
  /** Values that a rule narrows further than the shape does, by path. */
  narrower?: Readonly<Record<string, fc.Arbitrary<unknown>>>;
  /** All fields, or any of the optional ones (default). */
  fields?: "all" | "any";
}

const LEAVES: Record<Extract<Shape, string>, { any: fc.Arbitrary<unknown>; zero: unknown }> = {
  text: { any: fc.string({ minLength: 1 }), zero: "" },
  flag: { any: fc.boolean(), zero: false },
  small: { any: fc.maxSafeNat(), zero: 0 },
  integer: { any: exactIntegers(-(2n ** 63n), 2n ** 63n - 1n), zero: 0 },
  count: { any: exactIntegers(0n, 2n ** 64n - 1n), zero: 0 },
  u32: { any: fc.nat(2 ** 32 - 1), zero: 0 },
};

/** Numbers where they are exact, as parsing gives them. */
function exactIntegers(min: bigint, max: bigint): fc.Arbitrary<unknown> {
  return fc.bigInt(min, max).map((value) => Number.isSafeInteger(Number(value)) ? Number(value) : value);
}

/**
 * Values that the shape allows. Lists and maps hold something, texts are not empty, and an optional number or flag is not
 * its type's zero: on the wire these stand for "absent". Required numbers may be 0.
 */
export function valuesOf<S extends Shape>(shape: S, options: ValuesOptions = {}): fc.Arbitrary<Infer<S>> {
  return arbitrary(shape, "", options) as fc.Arbitrary<Infer<S>>;
}

function arbitrary(shape: Shape, path: string, options: ValuesOptions): fc.Arbitrary<unknown> {
  const narrower = options.narrower?.[path];
  if (narrower !== undefined) return narrower;
  if (typeof shape === "string") return LEAVES[shape].any;
  if ("words" in shape) return fc.constantFrom(...shape.words);
  if (isList(shape)) return fc.array(arbitrary(shape[0], path, options), { minLength: 1, maxLength: 3 });
  if ("values" in shape) {
    const values = arbitrary(shape.values, `${path}.*`, options);
    return fc.dictionary(fc.string({ minLength: 1 }), values, { minKeys: 1, maxKeys: 3 });
  }
  return objects(shape, path, options);
}

function objects({ required = {}, optional = {} }: ObjectShape, path: string, options: ValuesOptions) {
  const wanted = (fields: Fields) =>
    Object.entries(fields).filter(([key]) => !options.without?.includes(at(path, key)));
  const always = wanted(required).map(([key, shape]) => [key, arbitrary(shape, at(path, key), options)] as const);
  const sometimes = wanted(optional).map(([key, shape]) => {
    const values = arbitrary(shape, at(path, key), options);
    if (typeof shape !== "string") return [key, values] as const;
    return [key, values.filter((value) => value !== LEAVES[shape].zero)] as const;
  });
  const all = Object.fromEntries([...always, ...sometimes]);
  if (options.fields === "all") return fc.record(all);
  return fc.record(all, { requiredKeys: always.map(([key]) => key) });
}

/** @returns Each key that a shape names: dots between, `*` for any key of a map, `!` behind one that is required. */
export function keysOf(shape: Shape, path = ""): string[] {
  if (typeof shape === "string" || "words" in shape) return [];
  if (isList(shape)) return keysOf(shape[0], path);
  if ("values" in shape) return [at(path, "*"), ...keysOf(shape.values, at(path, "*"))];
  const { required = {}, optional = {} } = shape;
  const below = Object.entries({ ...required, ...optional }).flatMap(([key, inner]) => keysOf(inner, at(path, key)));
  return [
    ...Object.keys(required).map((key) => `${at(path, key)}!`),
    ...Object.keys(optional).map((key) => at(path, key)),
    ...below,
  ];
}

function at(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}

function isList(shape: Shape): shape is readonly [Shape] {
  return Array.isArray(shape);
}
