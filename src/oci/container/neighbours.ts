/** Containers that share a cgroup: the specification lets several name the same. @module */
import { StateDirectory, type StoredState } from "./state.ts";

type Named = Pick<StoredState, "id" | "cgroupPath">;

/** Other containers of the same home whose cgroup is the same, or `below` it. */
function neighboursOf({ id, cgroupPath }: Named, stateRoot: string, where: "same" | "below" = "same"): StoredState[] {
  const others = [...Deno.readDirSync(stateRoot)].filter((one) => one.isDirectory && one.name !== id);
  return others.flatMap(({ name }) => {
    try {
      const stored = new StateDirectory(stateRoot, name).read();
      const isBelow = where === "below" && stored.cgroupPath.startsWith(`${cgroupPath}/`);
      return stored.cgroupPath === cgroupPath || isBelow ? [stored] : [];
    } catch {
      return []; // half made, or deleted meanwhile
    }
  });
}

/**
 * Hierarchies of a group to be joined that are not ours to remove.
 *
 * @param present Those in which it is there already. What a container of ours has made, the last one takes away.
 */
export function foreignOf(named: Named, present: readonly string[], stateRoot: string): string[] {
  if (present.length === 0) return [];
  const neighbours = neighboursOf(named, stateRoot);
  return present.filter((name) => neighbours.every(({ foreignCgroups = [] }) => foreignCgroups.includes(name)));
}

/** Whether processes of others may be in the group, or below it, and are meant to. */
export function sharesCgroup(stored: StoredState, stateRoot: string): boolean {
  return (stored.foreignCgroups ?? []).length > 0 || neighboursOf(stored, stateRoot, "below").length > 0;
}
