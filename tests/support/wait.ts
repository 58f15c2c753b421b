/** Waiting for what becomes so in its own time. @module */

/** Long enough for what is on its way, on a busy machine too. */
const USUAL_MS = 20_000;
const EVERY_MS = 20;

/** Waits until something is so. @throws {Error} It is not within `ms`. */
export async function until(isSo: () => boolean | Promise<boolean>, { ms = USUAL_MS } = {}): Promise<void> {
  for (const begin = performance.now(); !(await isSo());) {
    if (performance.now() - begin > ms) throw new Error(`Cannot see within ${ms} ms: ${isSo}`);
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
}
