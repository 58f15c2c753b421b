/** Messages of one stream that wait for the one who iterates over them. @module */

/**
 * Messages that one stream may leave untaken. There is no flow control in ttRPC: without a bound, one forgotten stream
 * takes all memory; if we stopped reading instead, it would block all other calls of the connection.
 */
export const MAX_QUEUED_MESSAGES = 1024;

/** Hands items from one who pushes to one who iterates. */
export class MessageQueue<T> implements AsyncIterable<T> {
  readonly #items: T[] = [];
  #end: { error?: unknown } | undefined;
  #wake: (() => void) | undefined;

  /** Items not yet taken. */
  get length(): number {
    return this.#items.length;
  }

  push(item: T): void {
    if (this.#end !== undefined) return;
    this.#items.push(item);
    this.#wake?.();
  }

  /** Ends the iteration once the items are taken; with an error, it throws that then. Only the first end counts. */
  end(failure: { error?: unknown } = {}): void {
    this.#end ??= failure;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (;;) {
      while (this.#items.length > 0) yield this.#items.shift()!;
      if (this.#end !== undefined) {
        if ("error" in this.#end) throw this.#end.error;
        return;
      }
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }
}
