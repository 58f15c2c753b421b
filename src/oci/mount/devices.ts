/** The container's /dev: device nodes, links, and which devices may be used. @module */
import type { SyscallProgram } from "../../linux/child_program/program.ts";
import { joinDevice } from "../../linux/device/number.ts";
import { AT_FDCWD, F_DUPFD_CLOEXEC, O_CLOEXEC } from "../../linux/io/fd.ts";
import { MOUNT_ATTR, OPEN_TREE_CLONE } from "../../linux/mount/mount_options.ts";
import { type RootDirectory, split } from "./rootfs.ts";
import { DEFAULT_DEVICES, DEFAULT_MODE } from "../spec/default_devices.ts";
import { isForAllDevices } from "../spec/resources.ts";
import type { Device, DeviceRule, DeviceType } from "../spec/spec.ts";

const DEFAULT_LINKS: readonly (readonly [name: string, target: string])[] = [
  ["fd", "/proc/self/fd"],
  ["stdin", "/proc/self/fd/0"],
  ["stdout", "/proc/self/fd/1"],
  ["stderr", "/proc/self/fd/2"],
  ["ptmx", "pts/ptmx"],
];

/** The kernel's bits for the kind of a node. */
const KIND = { b: 0o060000, c: 0o020000, u: 0o020000, p: 0o010000, a: 0o020000 } as const satisfies Record<
  DeviceType,
  number
>;

/** A device node that shall exist. */
export interface DeviceNode {
  path: string;
  /** Kind and permission bits, as mknod(2) takes them. */
  mode: number;
  /** Device number, as mknod(2) takes it. */
  device: bigint;
  uid: number;
  gid: number;
  /** Number of a descriptor that the child has: a mount of one that was made for it. */
  tree?: number;
}

/** The default devices, and those that the configuration adds or changes; not /dev/ptmx, which is a link in every container. */
export function planDevices(devices: readonly Device[] = []): DeviceNode[] {
  const byPath = new Map([...DEFAULT_DEVICES, ...devices].map((device) => [device.path, device]));
  byPath.delete("/dev/ptmx");
  return [...byPath.values()].map((
    { path, type, major = 0, minor = 0, fileMode = DEFAULT_MODE, uid = 0, gid = 0 },
  ) => ({
    path,
    mode: KIND[type] | (fileMode & 0o7777),
    device: type === "p" ? 0n : joinDevice({ major, minor }),
    uid,
    gid,
  }));
}

export interface AddDevicesOptions {
  /** A user namespace may not make nodes: those of this machine are bind-mounted in their place. */
  bind: boolean;
}

/** Makes the nodes and the links. The umask must be 0. */
export function addDevices(
  steps: SyscallProgram,
  root: RootDirectory,
  options: AddDevicesOptions & { nodes: readonly DeviceNode[] },
): void {
  if (options.bind) { for (const node of options.nodes) bindNode(steps, root, node); }
  else makeNodes(steps, root, options.nodes);
  root.inDirectoryOf("/dev/fd", (directory) => {
    for (const [name, target] of DEFAULT_LINKS) {
      const label = `make link /dev/${name}`;
      if (name === "ptmx") replaceByLink(steps, directory, { name, target });
      else steps.call("symlinkat", [target, directory, name], { label, ignore: ["EEXIST"] });
    }
  });
}

type DirectorySlot = Parameters<Parameters<RootDirectory["inDirectoryOf"]>[1]>[0];

/** A ptmx node would belong to the machine's terminals, not to those of the container. */
function replaceByLink(steps: SyscallProgram, directory: DirectorySlot, link: { name: string; target: string }): void {
  const label = `make link /dev/${link.name}`;
  steps.call("unlinkat", [directory, link.name, 0], { label, ignore: ["ENOENT", "EBUSY", "EISDIR", "EROFS"] });
  steps.call("symlinkat", [link.target, directory, link.name], { label, ignore: ["EEXIST"] });
}

/** Makes the nodes of each directory together: nearly all are in /dev itself. */
function makeNodes(steps: SyscallProgram, root: RootDirectory, nodes: readonly DeviceNode[]): void {
  const directoryOf = (path: string) => split(path).slice(0, -1).join("/");
  for (const together of Map.groupBy(nodes, ({ path }) => directoryOf(path)).values()) {
    root.inDirectoryOf(together[0]!.path, (directory) => {
      for (const node of together) makeNode(steps, directory, node);
    });
  }
}

function makeNode(steps: SyscallProgram, directory: DirectorySlot, { path, mode, device, uid, gid }: DeviceNode): void {
  const AT_SYMLINK_NOFOLLOW = 0x100;
  const label = `make device ${path}`;
  const name = split(path).at(-1) ?? "";
  const call = { name: "mknodat" as const, args: [directory, name, mode, device] };
  steps.callThen({ ...call, options: { label, ignore: ["EEXIST"] } }, () => {
    if (uid === 0 && gid === 0) return;
    steps.call("fchownat", [directory, name, uid, gid, AT_SYMLINK_NOFOLLOW], { label });
  });
}

function bindNode(steps: SyscallProgram, root: RootDirectory, { path, tree: spare }: DeviceNode): void {
  const label = `bind device ${path}`;
  root.makeFile(path);
  const tree = steps.slot();
  if (spare === undefined) {
    steps.call("open_tree", [AT_FDCWD, path, OPEN_TREE_CLONE | O_CLOEXEC], { label, result: tree });
  } else steps.call("fcntl", [spare, F_DUPFD_CLOEXEC, 3], { label, result: tree });
  // What is the machine's gives no rights here, whatever else it may be.
  root.setAttributes(tree, { set: MOUNT_ATTR.NOSUID | MOUNT_ATTR.NOEXEC }, { label });
  const target = root.open(path);
  root.place(tree, target, { label });
  steps.close(target);
}

/** Access that every container has, before the rules of its configuration: its default devices and terminals. */
export const DEFAULT_DEVICE_RULES: readonly DeviceRule[] = [
  // Any node may be made; using it is another matter.
  { allow: true, type: "c", access: "m" },
  { allow: true, type: "b", access: "m" },
  ...DEFAULT_DEVICES.map(({ major, minor }) => ({ allow: true, type: "c" as const, major, minor, access: "rwm" })),
  { allow: true, type: "c", major: 136, access: "rwm" },
  { allow: true, type: "c", major: 5, minor: 2, access: "rwm" },
  // /dev/net/tun, which nothing makes: VPNs do, and have always been let, but by a few releases of runc.
  { allow: true, type: "c", major: 10, minor: 200, access: "rwm" },
];

const DENY_ALL: DeviceRule = { allow: false, type: "a", access: "rwm" };

/**
 * The rules to set: what no rule allows is denied. The default ones come after a rule for everything, and so stay, but
 * yield to what is denied later.
 */
export function deviceRules(rules: readonly DeviceRule[] = []): DeviceRule[] {
  const last = rules.findLastIndex(isForAllDevices);
  const first = last < 0 ? [DENY_ALL] : rules.slice(0, last + 1);
  return [...first, ...DEFAULT_DEVICE_RULES, ...rules.slice(last + 1)];
}
