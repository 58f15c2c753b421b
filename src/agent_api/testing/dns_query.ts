/** Queries of DNS for tests. @module */

export interface DnsQueryOptions {
  id?: number;
  /** 1 asks for an IPv4 address. */
  type?: number;
}

/** A query about a name. */
export function dnsQuery(name: string, { id = 7, type = 1 }: DnsQueryOptions = {}): Uint8Array<ArrayBuffer> {
  const labels = name.split(".").flatMap((label) => [label.length, ...new TextEncoder().encode(label)]);
  return Uint8Array.from([
    id >> 8,
    id & 0xff,
    1,
    0,
    0,
    1,
    0,
    0,
    0,
    0,
    0,
    0,
    ...labels,
    0,
    type >> 8,
    type & 0xff,
    0,
    1,
  ]);
}

/** An answer without records, as long as told. */
export function dnsAnswer(query: Uint8Array, bytes = query.length): Uint8Array<ArrayBuffer> {
  const answer = new Uint8Array(bytes);
  answer.set(query);
  answer[2]! |= 0x80;
  return answer;
}
