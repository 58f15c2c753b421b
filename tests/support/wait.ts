/** Waiting for what becomes so in its own time. @module */

/** Long enough for what is on its way, on a busy machine too. */
const USUAL_MS = 20_000;
const EVERY_MS = 20;
/** Of a look and the pause after it. More than this the machine has taken for others, from us as from what we wait for. */
const COUNTED_MS = 3 * EVERY_MS;

/**
 * Waits until something is so. Time in which a busy machine lets nobody go on does not count.
 *
 * @throws {Error} It is not within `ms`.
 */
export async function until(isSo: () => boolean | Promise<boolean>, { ms = USUAL_MS } = {}): Promise<void> {
  let waited = 0;
  for (let last = performance.now(); !(await isSo());) {
    if (waited > ms) throw new Error(`Cannot see within ${ms} ms: ${isSo}`);
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    const now = performance.now();
    waited += Math.min(now - last, COUNTED_MS);
    last = now;
  }
}
