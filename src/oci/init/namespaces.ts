/** Namespaces of a container: which are made anew, which are joined. @module */
import { type EnterableKind, isSameNamespace } from "../../linux/process/namespace.ts";
import type { NamespaceKind } from "../../linux/process/namespace_kinds.ts";
import type { Namespace, NamespaceType } from "../spec/spec.ts";

/** The kernel's name of each kind. */
export const NAMESPACE_KINDS = {
  user: "user",
  mount: "mnt",
  uts: "uts",
  ipc: "ipc",
  network: "net",
  pid: "pid",
  cgroup: "cgroup",
  time: "time",
} as const satisfies Record<NamespaceType, NamespaceKind>;

/** A namespace to join. */
export interface Joined {
  type: NamespaceType;
  path: string;
}

/** A namespace that the parent enters, so that its child starts in it. */
export interface ParentNamespace extends Joined {
  kind: EnterableKind;
}

/** Namespaces to make and to join; a kind that is in neither list is shared with this program. */
export interface NamespacePlan {
  fresh: ReadonlySet<NamespaceType>;
  joined: readonly Joined[];
}

export function planNamespaces(namespaces: readonly Namespace[] = []): NamespacePlan {
  const joined = namespaces.flatMap(({ type, path }) => path ? [{ type, path }] : []);
  return { fresh: new Set(namespaces.filter(({ path }) => !path).map(({ type }) => type)), joined };
}

/**
 * Whether the container lives in a user namespace that exists. Then its first process can make the others only once it is
 * in there, so that they belong to it.
 */
export function joinsUser(joined: readonly { type: NamespaceType }[]): boolean {
  return joined.some(({ type }) => type === "user");
}

const ENTERABLE: Partial<Record<NamespaceType, EnterableKind>> = {
  uts: "uts",
  ipc: "ipc",
  network: "net",
  cgroup: "cgroup",
};

/**
 * Selects the joined namespaces that the parent has to enter before it makes the child: the user namespace that is made
 * together with the child gives no right to enter namespaces of the machine.
 */
export function namespacesOfParent({ fresh, joined }: NamespacePlan): ParentNamespace[] {
  if (!fresh.has("user")) return [];
  return joined.flatMap((one) => {
    const kind = ENTERABLE[one.type];
    return kind === undefined ? [] : [{ ...one, kind }];
  });
}

/** Kinds in which the container differs from this program: the fresh ones, and those joined that are not ours already. */
export function ownNamespaces({ fresh, joined }: NamespacePlan): Set<NamespaceType> {
  return new Set([...fresh, ...joined.filter((one) => !isOurs(one)).map(({ type }) => type)]);
}

function isOurs({ type, path }: Joined): boolean {
  try {
    return isSameNamespace(path, `/proc/self/ns/${NAMESPACE_KINDS[type]}`);
  } catch {
    return false;
  }
}

/**
 * Kinds in which a process differs from this program: what joining it means. Entering a time namespace takes memory of
 * one's own, which a child apart has.
 */
export function differingNamespaces(pid: number): NamespaceType[] {
  const kinds = Object.entries(NAMESPACE_KINDS) as [NamespaceType, NamespaceKind][];
  const inode = (process: number | "self", kind: NamespaceKind) => Deno.readLinkSync(`/proc/${process}/ns/${kind}`);
  return kinds.filter(([, kind]) => inode(pid, kind) !== inode("self", kind)).map(([type]) => type);
}
