/**
 * How the serving process tells `start`, which made it, that it listens: it writes one word to a pipe, or why it cannot.
 *
 * @module
 */
import { errorChain } from "../../base/error.ts";
import { Fd } from "../../linux/io/fd.ts";
import { readSome } from "../../linux/io/poll.ts";

/** The descriptor in the serving process; the variable tells it that there is one. */
export const READY_FD = 3;
export const READY_VARIABLE = "KATA_READY_FD";

const READY = "ready";
/** The serving process listens within a fraction of this, unless the machine is very busy. */
const READY_MS = 30_000;
const LONGEST_ANSWER = 4096;

/** Waits for the answer. @throws {Error} What the serving process says, or that it ended. */
export async function awaitReady(pipeEnd: Fd): Promise<void> {
  const buffer = new Uint8Array(LONGEST_ANSWER);
  const length = await readSome(pipeEnd, buffer, { signal: AbortSignal.timeout(READY_MS) });
  const answer = new TextDecoder().decode(buffer.subarray(0, length));
  if (answer !== READY) throw new Error(`Cannot serve: ${answer === "" ? "the process ended" : answer}`);
}

/** Answers the process that started us, once; nobody waits if we were started by hand. */
export class ReadyAnswer implements Disposable {
  #fd: Fd | undefined;

  constructor() {
    if (Deno.env.get(READY_VARIABLE) === String(READY_FD)) this.#fd = new Fd(READY_FD);
    Deno.env.delete(READY_VARIABLE);
  }

  ready(): void {
    this.#say(READY);
  }

  fail(error: unknown): void {
    this.#say(errorChain(error).slice(0, LONGEST_ANSWER));
  }

  [Symbol.dispose](): void {
    this.#fd?.[Symbol.dispose]();
    this.#fd = undefined;
  }

  #say(text: string): void {
    this.#fd?.writeAll(new TextEncoder().encode(text));
    this[Symbol.dispose]();
  }
}
