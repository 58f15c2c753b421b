/** How long each part of a start took: the time to a container's first output is a goal. @module */

/** Measures named, possibly overlapping, spans of one start. */
export class Phases {
  readonly #begin: number;
  readonly #spans: Record<string, number> = {};

  constructor(readonly now: () => number = () => performance.now()) {
    this.#begin = now();
  }

  /** Runs `work` and notes its duration under `name`, also when it fails. */
  async measure<T>(name: string, work: () => T | Promise<T>): Promise<T> {
    const from = this.now();
    try {
      return await work();
    } finally {
      this.#spans[name] = Math.round(this.now() - from);
    }
  }

  /** Milliseconds by name, with `total` since the construction. */
  report(): Readonly<Record<string, number>> {
    return { ...this.#spans, total: Math.round(this.now() - this.#begin) };
  }
}
