/** Files that may or may not be there. @module */

/** Whether there is something that the caller can see; links are followed. */
export function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Removes a file, or with `recursive` a whole directory. One that does not exist is no error (B38). */
export function removeIfThere(path: string, options: { recursive?: boolean } = {}): void {
  try {
    Deno.removeSync(path, options);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
