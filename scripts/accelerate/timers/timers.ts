/**
 * `setTimeout` and its kin for the guest. Deno's own are Node's, and loading those takes an emulated guest a quarter of a
 * second, in the middle of the first call to the agent. Import this file before anything that may start a timer.
 *
 * @module
 */

interface Timer {
  dueMs: number;
  everyMs?: number;
  run: () => void;
}

/** Timers over one waiting `AbortSignal.timeout`, the cheapest clock that Deno has. */
export class Timers {
  readonly #timers = new Map<number, Timer>();
  #lastId = 0;
  /** When the earliest signal that still waits will fire. */
  #armedMs = Infinity;

  /** @returns The id for `clear`. */
  set(run: () => void, ms: number, { repeat }: { repeat: boolean }): number {
    const waitMs = Math.max(1, ms || 0);
    const dueMs = performance.now() + waitMs;
    this.#timers.set(++this.#lastId, { dueMs, run, ...(repeat && { everyMs: waitMs }) });
    this.#arm(dueMs);
    return this.#lastId;
  }

  clear(id: number | undefined): void {
    if (id !== undefined) this.#timers.delete(id);
  }

  /** A signal that waits longer than this stays: it will find nothing to do. */
  #arm(dueMs: number): void {
    if (dueMs >= this.#armedMs) return;
    this.#armedMs = dueMs;
    const signal = AbortSignal.timeout(Math.ceil(Math.max(0, dueMs - performance.now())));
    signal.addEventListener("abort", () => this.#fire(dueMs), { once: true });
  }

  #fire(firedMs: number): void {
    if (firedMs <= this.#armedMs) this.#armedMs = Infinity;
    const now = performance.now();
    // In the order in which they are due; one may clear or set others.
    const due = [...this.#timers].filter(([, { dueMs }]) => dueMs <= now).sort(([, a], [, b]) => a.dueMs - b.dueMs);
    for (const [id, timer] of due) {
      if (!this.#timers.has(id)) continue;
      if (timer.everyMs === undefined) this.#timers.delete(id);
      else timer.dueMs = now + timer.everyMs;
      // A callback that throws must not take the others with it.
      queueMicrotask(timer.run);
    }
    const next = Math.min(...[...this.#timers.values()].map(({ dueMs }) => dueMs));
    if (next < Infinity) this.#arm(next);
  }
}

/** A `setImmediate` that cannot be taken back: nobody here does. */
function turns(): (run: () => void) => void {
  let ports: MessageChannel | undefined;
  const waiting: (() => void)[] = [];
  return (run) => {
    if (ports === undefined) {
      ports = new MessageChannel();
      ports.port2.onmessage = () => waiting.shift()?.();
    }
    waiting.push(run);
    ports.port1.postMessage(undefined);
  };
}

/** Puts these timers in the place of the global ones. */
export function installTimers(): void {
  const timers = new Timers();
  type Callback = (...args: unknown[]) => void;
  const starter = (kind: { repeat: boolean }) => (callback: Callback, ms = 0, ...args: unknown[]) =>
    timers.set(() => callback(...args), ms, kind);
  const clear = (id?: number) => timers.clear(id);
  Object.assign(globalThis, {
    setTimeout: starter({ repeat: false }),
    setInterval: starter({ repeat: true }),
    setImmediate: turns(),
    clearTimeout: clear,
    clearInterval: clear,
  });
}
