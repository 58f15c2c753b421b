/** Inputs as text, so that a found one can be kept as a file: JSON with words for what JSON has not. @module */

const BYTES = "$bytes";
const BIG = "$bigint";
const NUMBER = "$number";
const UNDEFINED = "$undefined";

/** One line per input. Bytes become hexadecimal digits. */
export function encodeInput(input: unknown): string {
  return JSON.stringify(input, (_key, value) => {
    if (value instanceof Uint8Array) return { [BYTES]: value.toHex() };
    if (typeof value === "bigint") return { [BIG]: String(value) };
    if (value === undefined) return { [UNDEFINED]: 1 };
    if (typeof value === "number" && (!Number.isFinite(value) || Object.is(value, -0))) {
      return { [NUMBER]: Object.is(value, -0) ? "-0" : String(value) };
    }
    return value;
  });
}

/** The input of a line. Keys such as `__proto__` are keys. */
export function decodeInput(text: string): unknown {
  return JSON.parse(text, (_key, value) => {
    if (typeof value !== "object" || value === null) return value;
    if (typeof value[BYTES] === "string") return Uint8Array.fromHex(value[BYTES]);
    if (typeof value[BIG] === "string") return BigInt(value[BIG]);
    if (typeof value[NUMBER] === "string") return Number(value[NUMBER]);
    return value[UNDEFINED] === 1 ? undefined : value;
  });
}
