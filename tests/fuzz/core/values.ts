/** Changes of good JSON values, such as an OCI specification: a leaf, a key, a type, a depth. @module */
import type { Random } from "./random.ts";
import { anyText, mutateText } from "./text.ts";

/** Values that `JSON.parse` may give. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Any value; rarely deep. */
export function anyJson(random: Random, depth = 3): Json {
  switch (random.below(depth > 0 ? 8 : 6)) {
    case 0:
      return null;
    case 1:
      return random.once(2);
    case 2:
      return random.once(4) ? random.pick([0.5, 1e300, -1e-7, 2 ** 63]) : random.integer();
    case 3:
    case 4:
    case 5:
      return anyText(random);
    case 6:
      return random.times(random.few(5), () => anyJson(random, depth - 1));
    default:
      return withKeys(random.times(random.few(5), () => [anyText(random), anyJson(random, depth - 1)]));
  }
}

/** Any text names a key of its own here, `__proto__` too, as with `JSON.parse`. */
export function withKeys(entries: readonly (readonly [string, Json])[]): { [key: string]: Json } {
  const object: { [key: string]: Json } = {};
  for (const [key, value] of entries) {
    Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
  }
  return object;
}

/** A copy of `value` with up to `most` places changed; in half of the cases each keeps its type, so that it gets further. */
export function mutateJson(random: Random, value: Json, most = 5): Json {
  const changed = structuredClone(value);
  const root: Json[] = [changed];
  const changeAt = random.once(2) ? changeOnce : changeKindly;
  for (let change = random.between(1, most); change > 0; change--) changeAt(random, pickPlace(random, root));
  return root[0] ?? null;
}

type Place = { holder: Json[] | { [key: string]: Json }; key: string };

/** Walks down from the root at random, and stops at random or at a leaf. */
function pickPlace(random: Random, root: Json[]): Place {
  let holder: Json[] | { [key: string]: Json } = root;
  for (;;) {
    const keys: string[] = Object.keys(holder);
    const key: string = keys.length > 0 ? random.pick(keys) : Array.isArray(holder) ? "0" : anyText(random);
    const value: Json | undefined = Object.hasOwn(holder, key) ? Reflect.get(holder, key) : undefined;
    const isBranch = typeof value === "object" && value !== null && Object.keys(value).length > 0;
    if (!isBranch || (holder !== root && random.once(12))) return { holder, key };
    holder = value;
  }
}

function changeKindly(random: Random, { holder, key }: Place): void {
  const value: Json | undefined = Reflect.get(holder, key);
  const set = (changed: Json) => Reflect.set(holder, key, changed);
  if (typeof value === "string") set(random.once(2) ? anyText(random) : mutateText(random, value));
  else if (typeof value === "number") set(random.integer());
  else if (typeof value === "boolean") set(!value);
  else if (Array.isArray(value) && random.once(2)) value.push(...structuredClone(value.slice(0, random.few(50))));
  else if (Array.isArray(holder)) holder.splice(Number(key) || 0, 1);
  else delete holder[key];
}

function changeOnce(random: Random, { holder, key }: Place): void {
  const set = (value: Json, name = key) => {
    // Neither a length nor a far index: such an array cannot be written as JSON.
    if (Array.isArray(holder)) name = String(random.below(holder.length + 1));
    Object.defineProperty(holder, name, { value, enumerable: true, writable: true, configurable: true });
  };
  const value: Json | undefined = Reflect.get(holder, key);
  switch (random.below(9)) {
    case 0:
      if (Array.isArray(holder)) holder.splice(Number(key) || 0, 1);
      else delete holder[key];
      return;
    case 1:
      return set(anyJson(random));
    case 2:
      return set([value ?? null]);
    case 3:
      return set(anyJson(random), anyText(random));
    case 4: // a neighbour's value
      return set(structuredClone(Reflect.get(holder, random.pick(Object.keys(holder))) ?? null));
    case 5:
      if (Array.isArray(value)) value.push(...structuredClone(value.slice(0, 50)));
      return;
    case 6:
      if (random.once(40)) return set(nested(random.between(10, 2000)));
      return set(random.integer());
    default:
      return set(typeof value === "string" ? mutateText(random, value) : anyText(random));
  }
}

function nested(depth: number): Json {
  let value: Json = 1;
  for (let level = 0; level < depth; level++) value = [value];
  return value;
}
