/** Family and namespaces of processes, as /proc tells, for one look: what was read once is not read again. @module */
import { isErrno } from "../ffi/errno.ts";
import { ioctl } from "../ffi/ioctl.ts";
import { Fd, O_RDONLY } from "../io/fd.ts";
import type { NamespaceKind } from "./namespace_kinds.ts";
import { readProcessStat } from "./process.ts";

export class Kin {
  readonly #answers = new Map<number, boolean>();
  readonly #isFirst: (pid: number) => boolean;

  /** @param isFirst Whether a process, with all that descend from it, belongs to those who are looked for. */
  constructor(isFirst: (pid: number) => boolean) {
    this.#isFirst = isFirst;
  }

  /** Whether a process, or one that it descends from, is such a one. */
  has(pid: number): boolean {
    const way: number[] = [];
    let answer = false;
    for (let at: number | undefined = pid; at !== undefined && at > 1; at = readProcessStat(at)?.parent) {
      const known = this.#answers.get(at);
      if (known === undefined) way.push(at);
      answer = known ?? this.#isFirst(at);
      if (answer || known !== undefined) break;
    }
    for (const one of way) this.#answers.set(one, answer);
    return answer;
  }
}

/** Name of a process's namespace: `mnt:[4026531841]`. @returns Undefined if it has ended, or is not ours to look at. */
export function namespaceOf(pid: number | "self", kind: NamespaceKind): string | undefined {
  try {
    return Deno.readLinkSync(`/proc/${pid}/ns/${kind}`);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ESRCH", "EACCES", "EPERM")) return undefined;
    throw error;
  }
}

const NS_GET_MNTNS_ID = { name: "NS_GET_MNTNS_ID", number: 0x8008b705 };

/**
 * Number of a process's mount namespace that no other ever gets. The one in its name passes to the next namespace that is
 * made as soon as it is free.
 *
 * @returns Decimal; undefined if the process has ended, is not ours to look at, or the kernel is older than Linux 6.11.
 */
export function mountNamespaceId(pid: number | "self"): string | undefined {
  const id = new BigUint64Array(1);
  try {
    using fd = Fd.open(`/proc/${pid}/ns/mnt`, O_RDONLY);
    ioctl(fd, NS_GET_MNTNS_ID, { argument: id });
    return String(id[0]);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ESRCH", "EACCES", "EPERM", "ENOTTY", "EINVAL")) return undefined;
    throw error;
  }
}
