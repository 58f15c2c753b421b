/**
 * Writes the import map by which the guest's bundle takes `descriptor.ts` and `well_known.ts` in the place of the library's
 * modules: all names of deno.json, and these two. Within this folder the names mean the library.
 *
 * Usage: import_map.ts OUTPUT
 *
 * @module
 */

const REPO = new URL("../../../", import.meta.url);
const HERE = new URL("./", import.meta.url).href;

/** Modules of the library, and what takes their place. */
const REPLACED = {
  "@bufbuild/protobuf/codegenv2": new URL("descriptor.ts", HERE).href,
  "@bufbuild/protobuf/wkt": new URL("well_known.ts", HERE).href,
} as const;

export interface ImportMap {
  imports: Record<string, string>;
  scopes: Record<string, Record<string, string>>;
}

/** @param imports Those of deno.json. @throws {Error} It does not name a module that is to be replaced. */
export function guestImportMap(imports: Readonly<Record<string, string>>): ImportMap {
  const library = Object.keys(REPLACED).map((name) => {
    const target = imports[name];
    if (target === undefined) throw new Error(`Cannot replace "${name}": deno.json does not name it`);
    return [name, target];
  });
  return { imports: { ...imports, ...REPLACED }, scopes: { [HERE]: Object.fromEntries(library) } };
}

if (import.meta.main) {
  const { imports } = JSON.parse(Deno.readTextFileSync(new URL("deno.json", REPO)));
  Deno.writeTextFileSync(Deno.args[0]!, JSON.stringify(guestImportMap(imports)));
}
