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
const HELLO = 0x01;
const ANSWER = 0x02;
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
  return Uint8Array.of(ESCAPE, kind === "hello" ? HELLO : ANSWER, ...new TextEncoder().encode(nonce));
}

/** The bytes to send for `data`; `data` itself where nothing needs an escape. */
export function escapeData(data: Uint8Array): Uint8Array {
  const first = data.indexOf(ESCAPE);
  if (first === -1) return data;
  const escaped = new Uint8Array(data.length * 2);
  escaped.set(data.subarray(0, first));
  let length = first;
  for (let at = first; at < data.length; at++) {
    const byte = data[at]!;
    escaped[length++] = byte;
    if (byte === ESCAPE) escaped[length++] = LITERAL;
  }
  return escaped.subarray(0, length);
}

/** Takes a port's bytes apart. Never fails: bytes that make no sense are a piece of something that was cut off. */
export class SerialDecoder {
  #hasEscape = false;
  #control: { kind: "hello" | "answer"; nonce: string } | undefined;

  /**
   * The events that end in `bytes`. Their data points into `bytes`, where the escapes are taken out as it goes: leave
   * them alone until the last event.
   */
  *decode(bytes: Uint8Array): Generator<SerialEvent> {
    let at = 0;
    while (at < bytes.length) {
      if (this.#control !== undefined) {
        const isDigit = this.#takeDigit(bytes[at]!);
        if (this.#control?.nonce.length === NONCE_DIGITS) {
          yield this.#control;
          this.#control = undefined;
        }
        // A byte that is no digit cuts the control off, and is looked at again as data.
        if (isDigit) at++;
        continue;
      }
      const [length, next] = this.#unescape(bytes, at);
      if (length > 0) yield { kind: "data", bytes: bytes.subarray(at, at + length) };
      at = next;
    }
  }

  /** Moves the data that begins at `start` together. @returns Its length, and where the next control or the end is. */
  #unescape(bytes: Uint8Array, start: number): [length: number, next: number] {
    const first = this.#hasEscape ? start : bytes.indexOf(ESCAPE, start);
    if (first === -1) return [bytes.length - start, bytes.length];
    let end = first;
    for (let at = first; at < bytes.length; at++) {
      const byte = bytes[at]!;
      if (!this.#hasEscape) {
        if (byte === ESCAPE) this.#hasEscape = true;
        else bytes[end++] = byte;
        continue;
      }
      this.#hasEscape = byte === ESCAPE;
      if (byte === HELLO || byte === ANSWER) {
        this.#control = { kind: byte === HELLO ? "hello" : "answer", nonce: "" };
        return [end - start, at + 1];
      }
      if (byte === LITERAL) bytes[end++] = ESCAPE;
      else if (byte !== ESCAPE) bytes[end++] = byte;
    }
    return [end - start, bytes.length];
  }

  #takeDigit(byte: number): boolean {
    const digit = String.fromCharCode(byte);
    const isDigit = /[0-9a-f]/.test(digit);
    if (isDigit) this.#control!.nonce += digit;
    else this.#control = undefined;
    return isDigit;
  }
}
