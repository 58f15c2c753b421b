/** Device nodes for a user namespace, which may make none: those that the machine has not are made for it. @module */
import { KataError } from "../../base/error.ts";
import { isErrno } from "../../linux/ffi/errno.ts";
import { changeOwnerAt, makeNodeAt } from "../../linux/fs/directory.ts";
import { Fd, O_DIRECTORY, O_PATH, pathOf } from "../../linux/io/fd.ts";
import { mountSetattr, openTree } from "../../linux/mount/mount_tree.ts";
import { MOUNT_ATTR } from "../../linux/mount/mount_options.ts";
import type { IdMapping, Linux } from "../spec/spec.ts";
import type { DeviceNode } from "./devices.ts";

/** Of stat(2). */
const S_IFMT = 0o170000;
const S_IFIFO = 0o010000;

export interface SpareNodes {
  linux: Linux | undefined;
  /** Of the container's state, in which the nodes are, as long as it is. */
  directory: string;
  /** Owns what is opened. */
  ours: DisposableStack;
}

/**
 * @returns The nodes, each that the machine has not with a mount of one that was made for it.
 * @throws {KataError} FAILED_PRECONDITION: the machine's node of that name is another device, and we may make none.
 */
export function withSpareNodes(nodes: readonly DeviceNode[], options: SpareNodes): DeviceNode[] {
  return nodes.map((node, index) => {
    const found = findNode(node);
    if (found === "same") return node;
    const tree = makeNode(node, { ...options, name: `device-${index}` });
    if (tree !== undefined) return { ...node, tree: options.ours.use(tree).number };
    if (found === "missing") return node;
    const why = "the machine's node of that name is another one, and making nodes takes root's rights";
    throw new KataError("FAILED_PRECONDITION", `Cannot bind device "${node.path}": ${why}`);
  });
}

function findNode({ path, mode, device }: DeviceNode): "same" | "other" | "missing" {
  // A pipe of the machine's is somebody else's.
  if ((mode & S_IFMT) === S_IFIFO) return "other";
  try {
    const stat = Deno.statSync(path);
    const isSame = ((stat.mode ?? 0) & S_IFMT) === (mode & S_IFMT) && BigInt(stat.rdev ?? 0) === device;
    return isSame ? "same" : "other";
  } catch {
    return "missing";
  }
}

/** @returns Undefined if we may not make it. */
function makeNode(node: DeviceNode, { linux, directory, name }: SpareNodes & { name: string }): Fd | undefined {
  using place = Fd.open(directory, O_PATH | O_DIRECTORY);
  try {
    makeNodeAt(place, name, { mode: node.mode, device: Number(node.device) });
  } catch (error) {
    if (isErrno(error, "EPERM")) return undefined;
    throw error;
  }
  giveTo({ place, name }, node, linux);
  using undo = new DisposableStack();
  const tree = undo.use(openTree(`${directory}/${name}`, { clone: true }));
  // Where the state is kept devices are often not to be opened.
  mountSetattr(tree, { clear: MOUNT_ATTR.NODEV });
  undo.move();
  return tree;
}

/** The owner is the container's; in a namespace that somebody else has made his maps are not known, and it stays the machine's. */
function giveTo(
  { place, name }: { place: Fd; name: string },
  { uid, gid, mode }: DeviceNode,
  linux: Linux | undefined,
): void {
  const owner = { uid: hostId(uid, linux?.uidMappings), gid: hostId(gid, linux?.gidMappings) };
  if (owner.uid !== undefined && owner.gid !== undefined && Deno.uid() === 0) {
    changeOwnerAt(place, name, { uid: owner.uid, gid: owner.gid });
  }
  // Without the umask, and once the owner is right.
  Deno.chmodSync(`${pathOf(place)}/${name}`, mode & 0o7777);
}

function hostId(id: number, mappings: readonly IdMapping[] = []): number | undefined {
  const map = mappings.find(({ containerID, size }) => id >= containerID && id < containerID + size);
  return map && map.hostID + id - map.containerID;
}
