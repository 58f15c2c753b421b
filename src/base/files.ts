/** Files that may be gone already. @module */

/** Removes a file, or with `recursive` a whole directory. One that does not exist is no error (B38). */
export function removeIfThere(path: string, options: { recursive?: boolean } = {}): void {
  try {
    Deno.removeSync(path, options);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
