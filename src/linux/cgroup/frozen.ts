/** Finds out why a process that was killed stays: on v1 one that stands in a frozen group dies only when it thaws. @module */
import { type CgroupLayout, parseCgroupMembership } from "./cgroup.ts";
import { readCgroupFile } from "./file.ts";

const FREEZER = "freezer";

/**
 * The v1 group in which a process is frozen, or is about to be.
 *
 * @returns Its directory; undefined if it is in none, or in one that we cannot see.
 */
export function frozenGroupOf({ v1 }: Pick<CgroupLayout, "v1">, pid: number): string | undefined {
  const root = v1.get(FREEZER);
  const path = root === undefined ? undefined : freezerPathOf(pid);
  if (path === undefined) return undefined;
  const group = path === "/" ? root! : `${root}${path}`;
  const state = readCgroupFile(group, "freezer.state");
  return state === undefined || state === "THAWED" ? undefined : group;
}

function freezerPathOf(pid: number): string | undefined {
  try {
    const groups = parseCgroupMembership(Deno.readTextFileSync(`/proc/${pid}/cgroup`));
    return groups.find(({ controllers }) => controllers.includes(FREEZER))?.path;
  } catch {
    return undefined; // it has just ended
  }
}
