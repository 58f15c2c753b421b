/**
 * How a virtio-serial port becomes connections.
 *
 * Such a port is one endless byte stream in each direction, which outlives the ends: the host's program may be replaced in
 * the middle of a frame (a shim that restarts, a VM that a template restores), and bytes of the one before may still be on
 * their way in the VMM, in both directions. So a connection begins with an exchange that no data can look like:
 *
 * ```
 *  host  --- hello <nonce> --->  guest     the nonce is new for each connection
 *  host  <-- answer <nonce> ---  guest
 *  host  <-- data, escaped --->  guest     until the next hello, or until the host's end is closed
 * ```
 *
 * - The byte 0xF5 (which no UTF-8 text contains) never stands for itself: in data it is sent as `F5 00`, a hello is
 *   `F5 01` and an answer `F5 02`, each followed by the nonce as 16 hexadecimal digits. Whatever a container writes or
 *   reads, it cannot end the connection.
 * - The host drops all bytes before the answer with its own nonce; they were meant for a program before it.
 * - The guest ends its present connection when a hello with another nonce comes, however deep in a frame it is, and all
 *   calls of that connection with it. A hello with the same nonce is only answered again: the host repeats it until the
 *   guest has booted.
 * - A sender that died between F5 and the byte after it does no harm: `F5 F5` means that something new began at the second.
 *
 * Escaping costs a search for one byte value; nothing is copied unless it is found.
 *
 * @module
 */

const ESCAPE = 0xf5;
const LITERAL = 0x00;
const CONTROLS = { 0x01: "hello", 0x02: "answer" } as const;
const CONTROL_BYTES = { hello: 0x01, answer: 0x02 } as const;
const NONCE_DIGITS = 16;

export type SerialEvent =
  | { kind: "data"; bytes: Uint8Array }
  | { kind: "hello" | "answer"; nonce: string };

/** A nonce for one hello. */
export function newNonce(): string {
  return crypto.getRandomValues(new Uint8Array(NONCE_DIGITS / 2)).toHex();
}

/** @param nonce 16 hexadecimal digits. */
export function encodeControl(kind: "hello" | "answer", nonce: string): Uint8Array {
  return Uint8Array.of(ESCAPE, CONTROL_BYTES[kind], ...new TextEncoder().encode(nonce));
}

/** The bytes to send for `data`; `data` itself where nothing needs an escape. */
export function escapeData(data: Uint8Array): Uint8Array {
  let found = data.indexOf(ESCAPE);
  if (found === -1) return data;
  const escaped = new Uint8Array(data.length * 2);
  let length = 0;
  let start = 0;
  for (; found !== -1; found = data.indexOf(ESCAPE, start)) {
    escaped.set(data.subarray(start, found + 1), length);
    length += found + 1 - start;
    escaped[length++] = LITERAL;
    start = found + 1;
  }
  escaped.set(data.subarray(start), length);
  return escaped.subarray(0, length + data.length - start);
}

/** Takes a port's bytes apart. It never fails: what makes no sense is a piece of something that was cut off. */
export class SerialDecoder {
  #hasEscape = false;
  #control: { kind: "hello" | "answer"; nonce: string } | undefined;

  /** The events that end in `bytes`. Their data points into `bytes`. */
  *decode(bytes: Uint8Array): Generator<SerialEvent> {
    let at = 0;
    while (at < bytes.length) {
      if (this.#control !== undefined) {
        const control = this.#takeDigit(bytes[at]!);
        if (control !== undefined) yield control;
        // What is no digit cuts the control off and is looked at again.
        if (this.#control !== undefined || control !== undefined) at++;
      } else if (this.#hasEscape) {
        this.#hasEscape = false;
        const byte = bytes[at]!;
        if (byte === LITERAL) yield { kind: "data", bytes: Uint8Array.of(ESCAPE) };
        if (byte === 0x01 || byte === 0x02) this.#control = { kind: CONTROLS[byte], nonce: "" };
        if (byte <= 0x02) at++;
      } else {
        const found = bytes.indexOf(ESCAPE, at);
        const end = found === -1 ? bytes.length : found;
        if (end > at) yield { kind: "data", bytes: bytes.subarray(at, end) };
        this.#hasEscape = found !== -1;
        at = end + 1;
      }
    }
  }

  #takeDigit(byte: number): SerialEvent | undefined {
    const control = this.#control!;
    const digit = String.fromCharCode(byte);
    if (!/[0-9a-f]/.test(digit)) {
      this.#control = undefined;
      return undefined;
    }
    control.nonce += digit;
    if (control.nonce.length < NONCE_DIGITS) return undefined;
    this.#control = undefined;
    return control;
  }
}
