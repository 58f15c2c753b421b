/** Sizes as people write them: `512`, `64M`, `2GiB`. @module */

const UNITS = ["", "K", "M", "G", "T", "P"] as const;

/**
 * Bytes of a size with a binary unit.
 *
 * @param text Digits, then nothing, or one of K, M, G, T, P with an optional `B` or `iB`, in either case.
 * @throws {RangeError} Anything else, or more than 2^53 bytes.
 */
export function parseSize(text: string): number {
  const match = /^\s*(\d+)\s*(?:([KMGTP])(?:i?B)?|B)?\s*$/i.exec(text);
  if (match === null) throw new RangeError(`Cannot parse size "${text}": expected digits and a unit such as "64M"`);
  const power = UNITS.indexOf((match[2] ?? "").toUpperCase() as typeof UNITS[number]);
  const bytes = Number(match[1]) * 1024 ** power;
  if (!Number.isSafeInteger(bytes)) throw new RangeError(`Cannot parse size "${text}": larger than 2^53 bytes`);
  return bytes;
}
