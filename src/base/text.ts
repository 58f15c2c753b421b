/** Text that somebody else wrote, kept within bounds. @module */

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The most bytes of UTF-8 that one UTF-16 unit becomes. */
const BYTES_PER_UNIT = 3;

/**
 * The text, or its beginning and how long it was, within `maxBytes` of UTF-8. The beginning is a copy: a piece of a
 * string would keep the whole in memory.
 *
 * @param maxBytes At least 64.
 */
export function cutText(text: string, maxBytes: number): string {
  if (text.length * BYTES_PER_UNIT <= maxBytes) return text;
  const bytes = new Uint8Array(maxBytes);
  if (encoder.encodeInto(text, bytes).read === text.length) return text;
  const note = `… (cut, ${text.length} characters in all)`;
  const { written } = encoder.encodeInto(text, bytes.subarray(0, maxBytes - encoder.encode(note).length));
  return decoder.decode(bytes.subarray(0, written)) + note;
}

/**
 * The text without what a terminal obeys: control characters, but for line ends and tabs, and marks that turn the
 * direction of reading, become U+FFFD.
 */
export function plainText(text: string): string {
  // deno-lint-ignore no-control-regex -- these are what it removes
  return text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g, "\ufffd");
}

/** Of a text in a message: longer than any path that an engine makes. */
const QUOTED_CHARACTERS = 200;

/**
 * A text that somebody else chose, as a part of one line for people: between quotation marks, cut, and without anything
 * that ends the line, is obeyed by a terminal or turns the direction of reading. Null and undefined are an empty text.
 */
export function quoted(text: string | null | undefined): string {
  const whole = text ?? "";
  const obeyed = /[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
  const escape = (one: string) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`;
  const shown = JSON.stringify(whole.slice(0, QUOTED_CHARACTERS)).replace(obeyed, escape);
  return whole.length <= QUOTED_CHARACTERS ? shown : `${shown}… (cut, ${whole.length} characters in all)`;
}
