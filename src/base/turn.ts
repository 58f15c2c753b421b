/** Letting others go first. @module */

/**
 * Waits for a turn of the event loop. By then everything has happened that settled promises set off, however long the chain,
 * and what was ready to be read or written may have been.
 */
export function nextTurn(): Promise<void> {
  return new Promise((done) => void setImmediate(done));
}
