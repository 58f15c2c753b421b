/** Reading a storage's options. Pure. @module */
import { KataError } from "../../base/error.ts";

/** Value behind `prefix` (such as `mode=`) in the last option that begins with it. */
export function optionValue(options: readonly string[], prefix: string): string | undefined {
  return options.findLast((option) => option.startsWith(prefix))?.slice(prefix.length);
}

/** Permission bits of an octal number. */
export function parseMode(text: string): number {
  if (/^[0-7]{1,5}$/.test(text)) return Number.parseInt(text, 8);
  throw new KataError("INVALID_ARGUMENT", `Cannot use mode "${text}": expected an octal number`);
}

/** A user or group id. */
export function parseId(text: string): number {
  const id = /^\d{1,10}$/.test(text) ? Number(text) : Infinity;
  if (id <= 0xffff_fffe) return id;
  throw new KataError("INVALID_ARGUMENT", `Cannot use id "${text}": expected a number below 2^32 - 1`);
}

/** Bytes or a count, decimal. */
export function parseCount(text: string): number {
  const count = /^\d+$/.test(text) ? Number(text) : NaN;
  if (Number.isSafeInteger(count)) return count;
  throw new KataError("INVALID_ARGUMENT", `Cannot use "${text}": expected a number`);
}
