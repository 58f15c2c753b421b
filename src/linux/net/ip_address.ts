/**
 * IP and MAC addresses as text and as bytes. Pure.
 *
 * @see https://www.rfc-editor.org/rfc/rfc5952 for the text of IPv6
 * @module
 */

/** `inet` is IPv4. */
export type Family = "inet" | "inet6";

/** `AF_*` of each family. */
export const FAMILIES = { inet: 2, inet6: 10 } as const satisfies Record<Family, number>;

/** The family of a number such as `AF_INET`; undefined for those that are not IP. */
export function familyOf(number: number): Family | undefined {
  return number === FAMILIES.inet ? "inet" : number === FAMILIES.inet6 ? "inet6" : undefined;
}

/** An address block such as `10.0.0.0/8`: 4 or 16 bytes, and how many bits count. */
export interface Cidr {
  bytes: Uint8Array;
  prefix: number;
}

/**
 * Parses an IPv4 or IPv6 address, without a zone.
 *
 * @returns 4 or 16 bytes in network order.
 * @throws {SyntaxError} It is neither.
 */
export function parseIp(text: string): Uint8Array {
  const bytes = text.includes(":") ? parseIpv6(text) : parseIpv4(text);
  if (bytes === undefined) throw new SyntaxError(`Cannot parse IP address "${text}"`);
  return bytes;
}

function parseIpv4(text: string): Uint8Array | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  const numbers = match?.slice(1).map(Number);
  return numbers?.every((number) => number <= 255) ? Uint8Array.from(numbers) : undefined;
}

function parseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [head, tail] = halves.map(parseIpv6Groups);
  if (head === undefined || (halves.length === 2 && tail === undefined)) return undefined;
  const missing = 16 - head.length - (tail?.length ?? 0);
  if (halves.length === 2 ? missing < 2 : missing !== 0) return undefined;
  return Uint8Array.from([...head, ...new Array<number>(missing).fill(0), ...(tail ?? [])]);
}

/** The bytes of `a:b:c`, the last of which may be written as IPv4; undefined if something else is there. */
function parseIpv6Groups(text: string): number[] | undefined {
  if (text === "") return [];
  const bytes: number[] = [];
  const groups = text.split(":");
  for (const [i, group] of groups.entries()) {
    const ipv4 = i === groups.length - 1 ? parseIpv4(group) : undefined;
    if (ipv4 !== undefined) bytes.push(...ipv4);
    else if (/^[0-9a-fA-F]{1,4}$/.test(group)) bytes.push(parseInt(group, 16) >> 8, parseInt(group, 16) & 0xff);
    else return undefined;
  }
  return bytes.length > 16 ? undefined : bytes;
}

/**
 * Prints an address; the longest run of zero groups of an IPv6 address becomes `::`.
 *
 * @param bytes 4 or 16 bytes in network order.
 */
export function formatIp(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  if (bytes.length !== 16) throw new RangeError(`Cannot format an IP address of ${bytes.length} bytes`);
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[2 * i]! << 8) | bytes[2 * i + 1]!);
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return `::ffff:${bytes.slice(12).join(".")}`;
  }
  const { start, length } = longestZeroRun(groups);
  const text = groups.map((group) => group.toString(16));
  if (length < 2) return text.join(":");
  return `${text.slice(0, start).join(":")}::${text.slice(start + length).join(":")}`;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let length = 0;
  for (const [i, group] of groups.entries()) {
    length = group === 0 ? length + 1 : 0;
    if (length > best.length) best = { start: i - length + 1, length };
  }
  return best;
}

/** The family of an address or block, by its text. */
export function ipFamily(text: string): Family {
  return text.includes(":") ? "inet6" : "inet";
}

/**
 * Parses `address/prefix`; without a prefix it is a single host.
 *
 * @throws {SyntaxError}
 */
export function parseCidr(text: string): Cidr {
  const [address = "", prefixText] = text.split("/", 2);
  const bytes = parseIp(address);
  const bits = bytes.length * 8;
  const prefix = prefixText === undefined ? bits : /^\d{1,3}$/.test(prefixText) ? Number(prefixText) : NaN;
  if (!(prefix <= bits)) throw new SyntaxError(`Cannot parse IP prefix of "${text}"`);
  return { bytes, prefix };
}

/** Prints `address/prefix`. */
export function formatCidr({ bytes, prefix }: Cidr): string {
  return `${formatIp(bytes)}/${prefix}`;
}

/**
 * Parses a link-layer address of any length: `02:42:ac:11:00:02`.
 *
 * @throws {SyntaxError}
 */
export function parseMac(text: string): Uint8Array {
  if (!/^[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2})*$/.test(text)) throw new SyntaxError(`Cannot parse MAC address "${text}"`);
  return Uint8Array.from(text.split(/[:-]/), (byte) => parseInt(byte, 16));
}

/** Prints a link-layer address in lower case. */
export function formatMac(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(":");
}
