/**
 * Messages of DNS, as far as the one who passes them on looks at them. Pure.
 *
 * @see https://www.rfc-editor.org/rfc/rfc1035 section 4
 * @module
 */

/** Longest query that is passed on; those of resolvers are far shorter. */
export const QUERY_BYTES = 4096;

/** Longest answer: where it comes by TCP, its length has 16 bits. */
export const ANSWER_BYTES = 65_535;

export const DNS_PORT = 53;

const HEADER_BYTES = 12;
/** Places of u16 numbers in the header. */
const AT = { id: 0, flags: 2, questions: 4, answers: 6, authorities: 8 } as const;
const IS_ANSWER = 0x8000;
/** Operation and the bits that a query has no use for. */
const NO_QUERY = 0xf840;
const SERVER_FAILURE = 2;
const LONGEST_LABEL = 63;
const LONGEST_NAME = 255;
/** Transfers of whole zones, which no resolver asks for. */
const TRANSFERS: readonly number[] = [251, 252];

/** Whether bytes are a standard query: one question, nothing that answers, and at most 4 KiB. */
export function isQuery(message: Uint8Array): boolean {
  if (message.length < HEADER_BYTES || message.length > QUERY_BYTES) return false;
  const view = viewOf(message);
  const counts = [view.getUint16(AT.questions), view.getUint16(AT.answers), view.getUint16(AT.authorities)];
  if ((view.getUint16(AT.flags) & (IS_ANSWER | NO_QUERY)) !== 0 || counts.join() !== "1,0,0") return false;
  const end = endOfName(message);
  // Type and class follow.
  return end !== undefined && end + 4 <= message.length && !TRANSFERS.includes(view.getUint16(end));
}

/** @returns Where the name of the first question ends; undefined if it is none. */
function endOfName(message: Uint8Array): number | undefined {
  for (let at = HEADER_BYTES; at < message.length && at - HEADER_BYTES < LONGEST_NAME;) {
    const length = message[at]!;
    if (length === 0) return at + 1;
    if (length > LONGEST_LABEL) return undefined;
    at += 1 + length;
  }
  return undefined;
}

/** Whether bytes are an answer to a query. */
export function isAnswerTo(query: Uint8Array, message: Uint8Array): boolean {
  if (message.length < HEADER_BYTES || message.length > ANSWER_BYTES) return false;
  const answer = viewOf(message);
  return answer.getUint16(AT.id) === viewOf(query).getUint16(AT.id) && (answer.getUint16(AT.flags) & IS_ANSWER) !== 0;
}

/** The answer of a server that could not find out. @param query As {@linkcode isQuery} has it. */
export function failureOf(query: Uint8Array): Uint8Array<ArrayBuffer> {
  const end = (endOfName(query) ?? HEADER_BYTES) + 4;
  const answer = query.slice(0, end);
  const view = viewOf(answer);
  // What the query wishes is repeated; what else it holds, such as its options, is left out.
  view.setUint16(AT.flags, (view.getUint16(AT.flags) & ~0xff) | IS_ANSWER | SERVER_FAILURE);
  view.setUint16(HEADER_BYTES - 2, 0);
  return answer;
}

function viewOf(message: Uint8Array): DataView {
  return new DataView(message.buffer, message.byteOffset, message.byteLength);
}
