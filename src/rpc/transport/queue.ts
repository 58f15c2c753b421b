/** Messages of one stream that wait for the one who iterates over them. @module */

/**
 * Most bytes that one stream may leave unread. There is no flow control in ttRPC: without a bound, one forgotten stream
 * takes all memory; if we stopped reading instead, it would block all other calls of the connection.
 */
export const MAX_QUEUED_MESSAGES = 1024;
const MAX_QUEUED_BYTES = 8 << 20;

/** Bytes that several queues may hold together. */
export class ByteBudget {
  readonly #max: number;
  #used = 0;

  constructor(max: number = MAX_QUEUED_BYTES) {
    this.#max = max;
  }

  /** @returns False, with nothing taken, if that many are not left. */
  take(bytes: number): boolean {
    if (this.#used + bytes > this.#max) return false;
    this.#used += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#used -= bytes;
  }
}

export interface MessageQueueOptions<T> {
  /** Bytes that several queues share; default: as much, for this one alone. */
  budget?: ByteBudget;
  /** Hears of each item that was taken over and that nobody will see. */
  letGo?: (item: T) => void;
}

/** Hands items from one who pushes to one who iterates; the one iteration that there may be lets go of the rest. */
export class MessageQueue<T> implements AsyncIterable<T> {
  readonly #budget: ByteBudget;
  readonly #items: { item: T; bytes: number }[] = [];
  readonly #letGo: (item: T) => void;
  #end: { error?: unknown } | undefined;
  #wake: (() => void) | undefined;

  constructor({ budget = new ByteBudget(), letGo = () => {} }: MessageQueueOptions<T> = {}) {
    this.#budget = budget;
    this.#letGo = letGo;
  }

  /** Items not yet taken. */
  get length(): number {
    return this.#items.length;
  }

  /**
   * @param bytes What the item holds in memory.
   * @returns False if too much waits already: the item is not taken, and its stream must end.
   */
  push(item: T, bytes: number): boolean {
    if (this.#end !== undefined) {
      this.#letGo(item);
      return true;
    }
    if (this.#items.length >= MAX_QUEUED_MESSAGES || !this.#budget.take(bytes)) return false;
    this.#items.push({ item, bytes });
    this.#wake?.();
    return true;
  }

  /** Ends the iteration once the items are taken; with an error, it throws that then. Only the first end counts. */
  end(failure: { error?: unknown } = {}): void {
    this.#end ??= failure;
    this.#wake?.();
  }

  /** Lets go of what nobody will take. */
  discard(): void {
    for (const { item, bytes } of this.#items.splice(0)) {
      this.#budget.giveBack(bytes);
      this.#letGo(item);
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    try {
      for (;;) {
        for (let next = this.#items.shift(); next !== undefined; next = this.#items.shift()) {
          this.#budget.giveBack(next.bytes);
          yield next.item;
        }
        if (this.#end !== undefined) {
          if ("error" in this.#end) throw this.#end.error;
          return;
        }
        await new Promise<void>((resolve) => this.#wake = resolve);
      }
    } finally {
      // The reader has gone: messages that come from now on are dropped as well.
      this.end();
      this.discard();
    }
  }
}
