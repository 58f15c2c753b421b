/** A tree deeper than any path is long. @module */
import { mkdirAt } from "../directory.ts";
import { type Fd, O_DIRECTORY, O_RDONLY } from "../../io/fd.ts";
import { openInRoot } from "../in_root.ts";

/** Makes `name/d/d/…`. */
export function makeDeep(root: Fd, { name, depth }: { name: string; depth: number }): void {
  mkdirAt(root, name, 0o755);
  let current = openInRoot(root, name, { flags: O_RDONLY | O_DIRECTORY });
  for (let level = 1; level < depth; level++) {
    mkdirAt(current, "d", 0o755);
    using above = current;
    current = openInRoot(above, "d", { flags: O_RDONLY | O_DIRECTORY });
  }
  current[Symbol.dispose]();
}
