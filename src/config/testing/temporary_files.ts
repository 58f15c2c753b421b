/** Files for tests. @module */

/** A directory with these files, named by their paths in it, gone at the end of the scope. */
export function filesOf(files: Record<string, string>): Disposable & { path(name: string): string } {
  const root = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "kata-config-" }));
  for (const [name, text] of Object.entries(files)) {
    Deno.mkdirSync(`${root}/${name}`.replace(/\/[^/]*$/, ""), { recursive: true });
    Deno.writeTextFileSync(`${root}/${name}`, text);
  }
  return { path: (name) => `${root}/${name}`, [Symbol.dispose]: () => Deno.removeSync(root, { recursive: true }) };
}
