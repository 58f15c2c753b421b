/** User namespaces' maps of ids, and mounts that show other owners than their file system has. @module */
import { KataError } from "../../base/error.ts";
import { isErrno } from "../../linux/ffi/errno.ts";
import { Fd, O_RDONLY, pipe } from "../../linux/io/fd.ts";
import { mountSetattr, openTree } from "../../linux/mount/mount_tree.ts";
import { MOUNT_ATTR, MS } from "../../linux/mount/mount_options.ts";
import { awaitByte } from "../../linux/child_program/calls.ts";
import { SyscallProgram } from "../../linux/child_program/program.ts";
import type { IdMapping } from "../spec/spec.ts";

/** Of a user namespace; for a mount, `containerID` is what the file system has and `hostID` what the mount shows. */
export interface IdMaps {
  uidMappings: readonly IdMapping[];
  gidMappings: readonly IdMapping[];
}

/**
 * Gives ids to the new user namespace that a process is in.
 *
 * @throws {KataError} PERMISSION_DENIED: a user without root's rights may map one id only, their own.
 */
export function writeIdMaps(pid: number, { uidMappings, gidMappings }: IdMaps): void {
  const format = (mappings: readonly IdMapping[]) =>
    mappings.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`).join("");
  try {
    Deno.writeTextFileSync(`/proc/${pid}/uid_map`, format(uidMappings));
    // The kernel's condition for mapping a group without rights: else one could leave a group that is denied something.
    if (Deno.uid() !== 0) Deno.writeTextFileSync(`/proc/${pid}/setgroups`, "deny");
    Deno.writeTextFileSync(`/proc/${pid}/gid_map`, format(gidMappings));
  } catch (cause) {
    if (Deno.uid() === 0) throw new Error("Cannot map the ids of the user namespace", { cause });
    const maps = `"${`${format(uidMappings)}${format(gidMappings)}`.trim().replaceAll("\n", ", ")}"`;
    const why = "a user without root's rights can map one id, their own, and runk uses no newuidmap";
    throw new KataError("PERMISSION_DENIED", `Cannot map ids ${maps}: ${why}`, { cause });
  }
}

/** Whether supplementary groups can be set in the user namespace of a process. */
export function maySetGroups(pid: number): boolean {
  return Deno.readTextFileSync(`/proc/${pid}/setgroups`).trim() !== "deny";
}

export interface MappedTreeOptions {
  maps: IdMaps;
  /** The mounts below `source` are copied as well. */
  copiesBelow: boolean;
  /** Whether mounts below are mapped as well. */
  mapsBelow: boolean;
}

/**
 * A detached copy of a mount with mapped ids. We make it, as a container with a user namespace may not.
 *
 * @throws {ErrnoError} EINVAL: the file system cannot be mapped.
 */
export function openMappedTree(source: Fd, { maps, copiesBelow, mapsBelow }: MappedTreeOptions): Fd {
  using undo = new DisposableStack();
  using userNamespace = openUserNamespace(maps);
  const tree = undo.use(openTree(source, { clone: true, recursive: copiesBelow }));
  mountSetattr(tree, { set: MOUNT_ATTR.IDMAP, userNamespace, recursive: mapsBelow });
  cutOff(tree);
  undo.move();
  return tree;
}

/** A detached copy of a mount as it is. */
export function openDetachedTree(source: Fd, { copiesBelow }: { copiesBelow: boolean }): Fd {
  using undo = new DisposableStack();
  const tree = undo.use(openTree(source, { clone: true, recursive: copiesBelow }));
  cutOff(tree);
  undo.move();
  return tree;
}

/** {@linkcode openDetachedTree} for a user who cannot get to it. @returns Undefined if we may not make one. */
export function openSpareTree(source: Fd, options: { copiesBelow: boolean }): Fd | undefined {
  try {
    return openDetachedTree(source, options);
  } catch (error) {
    if (isErrno(error, "EPERM", "EINVAL")) return undefined;
    throw error;
  }
}

/** As the child's own copies are, or mounts that the container makes there would be the machine's as well. */
function cutOff(tree: Fd): void {
  mountSetattr(tree, { propagation: MS.SLAVE, recursive: true });
}

/** The kernel takes maps in the form of a user namespace, and makes one only together with a process. */
export function openUserNamespace(maps: IdMaps): Fd {
  return openMappedNamespaces(maps, []).user;
}

/** Kinds that a user namespace may own, and the flag that makes one. */
const OWNED = { ipc: "newipc", uts: "newuts" } as const;

/** A new user namespace, and others that belong to it: who is root there may do with them as root does. */
export function openMappedNamespaces<K extends keyof typeof OWNED>(
  maps: IdMaps,
  kinds: readonly K[],
): Record<K | "user", Fd> {
  using undo = new DisposableStack();
  const hold = undo.use(pipe());
  const program = undo.use(new SyscallProgram());
  awaitByte(program, hold.read.number, { label: "hold user namespace" });
  const child = program.start({ flags: ["newuser", ...kinds.map((kind) => OWNED[kind])] });
  undo.defer(() => {
    child.kill("SIGKILL");
    child.waitSync();
  });
  writeIdMaps(child.pid, maps);
  using open = new DisposableStack();
  const entries = (["user", ...kinds] as const).map((kind) =>
    [kind, open.use(Fd.open(`/proc/${child.pid}/ns/${kind}`, O_RDONLY))] as const
  );
  open.move();
  return Object.fromEntries(entries) as Record<K | "user", Fd>;
}
