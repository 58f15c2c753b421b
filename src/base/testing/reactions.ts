/** For tests: who adds reactions without end to a promise that never settles. @module */

/**
 * Counts calls of then() on each promise, as Promise.race() makes them, until disposed. What one such call adds stays for
 * as long as its promise is pending.
 */
export function countReactions(): { most(): number } & Disposable {
  const original = Promise.prototype.then;
  const counts = new WeakMap<object, number>();
  let most = 0;
  // deno-lint-ignore no-explicit-any -- it takes what the original takes
  Promise.prototype.then = function (this: Promise<unknown>, ...reactions: any[]) {
    const count = (counts.get(this) ?? 0) + 1;
    counts.set(this, count);
    most = Math.max(most, count);
    return original.apply(this, reactions as []);
    // deno-lint-ignore no-explicit-any -- as above
  } as any;
  return { most: () => most, [Symbol.dispose]: () => void (Promise.prototype.then = original) };
}
