/** Hooks that the guest image brings along, for every container. @module */
import { isErrno } from "../../linux/ffi/errno.ts";
import type { Hook, Spec } from "../../oci/spec/spec.ts";

const HOOK_TYPES = ["prestart", "poststart", "poststop"] as const;

/**
 * Adds the executables in `<root>/<hook type>/` to the spec's hooks.
 *
 * @param root Directory in the guest; empty if there is none.
 */
export function addGuestHooks(spec: Spec, root: string): Spec {
  if (root === "") return spec;
  const hooks = { ...spec.hooks };
  for (const type of HOOK_TYPES) {
    const found = findHooks(`${root}/${type}`, type);
    if (found.length > 0) hooks[type] = [...hooks[type] ?? [], ...found];
  }
  return { ...spec, hooks };
}

function findHooks(directory: string, type: string): Hook[] {
  const names = [...readDirectory(directory)].filter(({ isFile }) => isFile).map(({ name }) => name).sort();
  return names.filter((name) => ((Deno.statSync(`${directory}/${name}`).mode ?? 0) & 0o111) !== 0)
    .map((name) => ({ path: `${directory}/${name}`, args: [name, type] }));
}

function readDirectory(path: string): Iterable<Deno.DirEntry> {
  try {
    return Deno.readDirSync(path);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return [];
    throw error;
  }
}
