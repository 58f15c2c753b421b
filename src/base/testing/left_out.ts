/**
 * Tests that are left out where something is missing: none of them goes without its reason, which is told when the test is
 * declared and which `scripts/run_tests.ts` sums up at the end.
 *
 * @module
 */

/** Variable that names the file to which each test left out adds a line; without it they are told on stderr. */
export const LEFT_OUT_FILE = "KATA_LEFT_OUT";

/** A test by its name, as the report has it, or all of a file that are left out for the same reason. */
export type LeftOut = { name: string } | { url: string };

/** Reason told for one of them; `of` is the name of a test, or the path of a file. */
export interface Told {
  of: string;
  why: string;
}

const ROOT = new URL("../../../", import.meta.url).href;
const told = new Set<string>();

/**
 * For `ignore` of a test.
 *
 * @param what The test; `import.meta` stands for all tests of the file that are left out.
 * @param why In one line; false or undefined if it runs.
 * @returns Whether it is left out.
 */
export function leftOut(what: LeftOut, why: string | false | undefined): boolean {
  if (why === false || why === undefined) return false;
  const of = "name" in what ? what.name : what.url.replace(ROOT, "./");
  const path = Deno.env.get(LEFT_OUT_FILE);
  if (path !== undefined) Deno.writeTextFileSync(path, `${of}\t${why}\n`, { append: true });
  else if (!told.has(why)) Deno.stderr.writeSync(new TextEncoder().encode(`left out: ${why}\n`));
  told.add(why);
  return true;
}

/** Of many tests of a file the commonest reason. */
export function leftOutUnlessRoot(file: LeftOut): boolean {
  return leftOut(file, Deno.uid() !== 0 && "needs root");
}

/** Reads what was told, in a file or among other lines. */
export function readLeftOut(text: string): Told[] {
  return [...text.matchAll(/^([^\t\n]+)\t([^\t\n]+)$/gm)].map(([, of = "", why = ""]) => ({ of, why }));
}
