/** Files of the house: its sources, for the tests of its order (`layers_test.ts`, `lengths_test.ts`), and what was built. @module */

/** The repository's root. */
export const ROOT = new URL("../", import.meta.url);

/** Directory with what was built. */
export const DIST: string = `${Deno.env.get("KATA_DIST") ?? new URL("dist", ROOT).pathname}/`;

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
