/**
 * Words for the refusal of a v2 cgroup to take a process: the errno of the call says nothing of cgroups.
 *
 * @see https://docs.kernel.org/admin-guide/cgroup-v2.html#threads
 * @see https://docs.kernel.org/admin-guide/cgroup-v2.html#no-internal-process-constraint
 * @module
 */
import { isErrno } from "../ffi/errno.ts";
import { readCgroupFile } from "./file.ts";

/**
 * Starts a child in a cgroup.
 *
 * @param cgroup Directory of version 2; undefined if it is started in none.
 * @throws {Error} The cgroup is named with its state if that is what is wrong. Else as `start`.
 */
export function startIn<T>(cgroup: string | undefined, start: () => T): T {
  try {
    return start();
  } catch (cause) {
    const why = cgroup === undefined ? undefined : reasonOf(cgroup, cause);
    throw why === undefined ? cause : new Error(`Cannot join cgroup "${cgroup}": ${why}`, { cause });
  }
}

function reasonOf(cgroup: string, error: unknown): string | undefined {
  if (isErrno(error, "EOPNOTSUPP")) {
    const type = readCgroupFile(cgroup, "cgroup.type");
    return `it is "${type}", as a group above or beside it has threads to divide, and takes no processes`;
  }
  const given = isErrno(error, "EBUSY") ? readCgroupFile(cgroup, "cgroup.subtree_control") : undefined;
  return given ? `it gives controllers (${given}) to groups below it, and takes no processes itself` : undefined;
}
