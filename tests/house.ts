/** Files of the house, for the tests of its order (`layers_test.ts`, `lengths_test.ts`). @module */

/** The repository's root. */
export const ROOT = new URL("../", import.meta.url);

/** The TypeScript files of a folder and all below, by their paths from the root. */
export function* sources(folder: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(new URL(folder, ROOT))) {
    if (isDirectory) yield* sources(`${folder}/${name}`);
    else if (name.endsWith(".ts")) yield `${folder}/${name}`;
  }
}

/** Tests, and what only tests need. */
export function isTestSupport(file: string): boolean {
  return /_(?:test|bench)\.ts$|\/testing\/|^tests\//.test(file);
}
