/** The secret of one VM and its maker, by which the host proves itself to the agent. @module */

const KEY_BYTES = 32;
const KEY_DIGITS = new RegExp(`^[0-9a-f]{${2 * KEY_BYTES}}$`);

/** A secret of one VM and its maker, as hexadecimal digits. */
export type HostKey = string & { readonly HostKey: unique symbol };

export function newHostKey(): HostKey {
  return crypto.getRandomValues(new Uint8Array(KEY_BYTES)).toHex() as HostKey;
}

/** @throws {RangeError} It is no key; the message does not show it. */
export function parseHostKey(text: string): HostKey {
  if (!KEY_DIGITS.test(text)) throw new RangeError(`Cannot use the host's key: expected ${2 * KEY_BYTES} digits`);
  return text as HostKey;
}
