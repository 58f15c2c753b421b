/** Namespaces of a container: which are made anew, which are joined. @module */
import type { Namespace, NamespaceType } from "./spec.ts";

interface Kind {
  /** Name below /proc/PID/ns. */
  file: string;
  /** `CLONE_NEW*`. */
  flag: number;
}

/** @see https://man7.org/linux/man-pages/man7/namespaces.7.html */
export const NAMESPACES = {
  user: { file: "user", flag: 0x10000000 },
  mount: { file: "mnt", flag: 0x00020000 },
  uts: { file: "uts", flag: 0x04000000 },
  ipc: { file: "ipc", flag: 0x08000000 },
  network: { file: "net", flag: 0x40000000 },
  pid: { file: "pid", flag: 0x20000000 },
  cgroup: { file: "cgroup", flag: 0x02000000 },
  time: { file: "time", flag: 0x00000080 },
} as const satisfies Record<NamespaceType, Kind>;

/** A namespace to join. */
export interface Joined {
  type: NamespaceType;
  path: string;
}

/** What happens to each kind of namespace; a kind that is in neither list is shared with this program. */
export interface NamespacePlan {
  fresh: ReadonlySet<NamespaceType>;
  joined: readonly Joined[];
}

export function planNamespaces(namespaces: readonly Namespace[] = []): NamespacePlan {
  const joined = namespaces.flatMap(({ type, path }) => path ? [{ type, path }] : []);
  return { fresh: new Set(namespaces.filter(({ path }) => !path).map(({ type }) => type)), joined };
}

/** Kinds in which the container differs from this program: the fresh ones, and those joined that are not ours already. */
export function ownNamespaces({ fresh, joined }: NamespacePlan): Set<NamespaceType> {
  return new Set([...fresh, ...joined.filter((one) => !isOurs(one)).map(({ type }) => type)]);
}

function isOurs({ type, path }: Joined): boolean {
  try {
    return Deno.statSync(path).ino === Deno.statSync(`/proc/self/ns/${NAMESPACES[type].file}`).ino;
  } catch {
    return false;
  }
}
