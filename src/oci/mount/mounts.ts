/** The steps that mount. @see https://man7.org/linux/man-pages/man2/move_mount.2.html @module */
import { ERRNO, ErrnoError } from "../../linux/ffi/errno.ts";
import { AT_EMPTY_PATH, AT_FDCWD, F_DUPFD_CLOEXEC, O_CLOEXEC, O_DIRECTORY, O_PATH } from "../../linux/io/fd.ts";
import { baseRules } from "../../linux/fs/guarded_path.ts";
import { openHow } from "../../linux/fs/in_root.ts";
import { AT_RECURSIVE, MOUNT_ATTR, type MountOptions, MS, OPEN_TREE_CLONE } from "../../linux/mount/mount_options.ts";
import type { CallOptions, Slot } from "../../linux/child_program/call.ts";
import type { SyscallProgram } from "../../linux/child_program/program.ts";
import type { CopyUp } from "./copy_up.ts";
import type { PlannedMount } from "./planned.ts";
import { addProc, type LivedInPids } from "./proc_mount.ts";
import type { RootDirectory } from "./rootfs.ts";

/** Where the child has what the parent needs to fill a new file system, and the stop at which that is done. */
export interface CopyUpOffer {
  from: Slot;
  to: Slot;
  image: Slot;
  addStop: () => void;
}

export type OfferCopyUp = (copy: CopyUp) => CopyUpOffer;

type Planned<K extends PlannedMount["kind"]> = Extract<PlannedMount, { kind: K }>;

const ADD = {
  bind: addBind,
  filesystem: addFilesystem,
  link: addLink,
  seal: (_steps, root, { destination }) => seal(root, destination),
} satisfies { [K in PlannedMount["kind"]]: Add<Planned<K>> };

type Add<P> = (steps: SyscallProgram, root: RootDirectory, planned: P, offerCopyUp: OfferCopyUp) => void;

export interface MountsOptions {
  planned: readonly PlannedMount[];
  offerCopyUp: OfferCopyUp;
  /** The pid namespace of the container, if it is one that others live in. */
  pids: LivedInPids | undefined;
}

export function addMounts(
  steps: SyscallProgram,
  root: RootDirectory,
  { planned, offerCopyUp, pids }: MountsOptions,
): void {
  for (const one of planned) {
    if (pids !== undefined && one.kind === "filesystem" && one.type === "proc") addProcOf(steps, root, one, pids);
    else (ADD[one.kind] as Add<PlannedMount>)(steps, root, one, offerCopyUp);
  }
}

function addProcOf(
  steps: SyscallProgram,
  root: RootDirectory,
  planned: Planned<"filesystem">,
  pids: LivedInPids,
): void {
  const { destination, source, options, noLinks = false } = planned;
  const label = `mount ${source} on ${destination}`;
  root.makeDirectories(destination);
  const target = root.open(destination, { noLinks });
  const attributes = attributesOf(options).set & ~TIME_DEFAULT;
  const tree = addProc(steps, planned, { pids, attributes });
  addTreeChanges(root, { tree, options, label });
  root.place(tree, target, { label });
  root.cover(destination);
  steps.close(target);
}

/**
 * A detached copy of the source is prepared and then put in place with all its flags: there is no moment at which a
 * read-only mount can be written, and flags that a user namespace may not drop stay.
 */
function addBind(steps: SyscallProgram, root: RootDirectory, planned: Planned<"bind">): void {
  const { source, destination, node, options } = planned;
  const label = `mount ${source} on ${destination}`;
  if (node === "directory") root.makeDirectories(destination);
  else root.makeFile(destination);
  const tree = takeSource(steps, planned, label);
  const change = attributesOf(options);
  // `rw` on a source that is locked read-only asks for what cannot be; the mount is still wanted.
  if (change.clear !== 0) root.setAttributes(tree, { clear: change.clear }, { label, ignore: ["EPERM"] });
  if (change.set !== 0) {
    const clear = change.hasTimeMode ? MOUNT_ATTR.ATIME : 0;
    root.setAttributes(tree, { set: change.set & ~TIME_DEFAULT, clear }, { label });
  }
  addTreeChanges(root, { tree, options, label });
  const target = root.open(destination);
  root.place(tree, target, { label, explain: explainPlace });
  root.cover(destination);
  steps.close(target);
}

/** @returns Where the descriptor of the detached copy will be. */
function takeSource(steps: SyscallProgram, planned: Planned<"bind">, label: string): Slot {
  const tree = steps.slot();
  const take = (fd: number) => steps.call("fcntl", [fd, F_DUPFD_CLOEXEC, 3], { label, result: tree });
  const { guard, source, options, spare } = planned;
  if (planned.tree !== undefined) {
    take(planned.tree);
    return tree;
  }
  const flags = OPEN_TREE_CLONE | O_CLOEXEC | ((options.flags & MS.REC) !== 0 ? AT_RECURSIVE : 0);
  // The child's own copy goes before the spare: it keeps the flags that the user may not drop. EINVAL: others are mounted
  // below, which the child may not leave out.
  const call = { label, result: tree, ...(spare !== undefined && { ignore: ["EACCES", "EBADF", "EINVAL"] as const }) };
  const node = guard && addOpen(steps, planned, { ...call, result: steps.slot() });
  const copy = {
    name: "open_tree" as const,
    args: node === undefined ? [AT_FDCWD, source, flags] : [node, "", flags | AT_EMPTY_PATH],
    options: call,
  };
  if (spare === undefined) steps.call(copy.name, copy.args, copy.options);
  else steps.callOrElse(copy, () => take(spare));
  if (node !== undefined) steps.close(node);
  return tree;
}

/** Opens the guarded source. One that has gone since the parent looked at it fails: no other way to it is tried. */
function addOpen(
  steps: SyscallProgram,
  { guard, node }: Planned<"bind">,
  options: CallOptions & { result: Slot },
): Slot {
  const how = openHow({
    flags: O_PATH | (node === "directory" ? O_DIRECTORY : 0),
    resolve: baseRules(guard!),
    scope: 0,
  });
  steps.call("openat2", [AT_FDCWD, guard!.base, how, how.length], options);
  return options.result;
}

/** The kernel refuses a file on a directory, and the other way, with EINVAL; mount(2) and container engines say more. */
function explainPlace(failure: ErrnoError): Error {
  return failure.code === "EINVAL" ? new ErrnoError(failure.syscall, ERRNO.ENOTDIR) : failure;
}

interface TreeChanges {
  tree: Parameters<RootDirectory["setAttributes"]>[0];
  options: MountOptions;
  label: string;
}

function addTreeChanges(root: RootDirectory, { tree, options, label }: TreeChanges): void {
  if (options.recursive !== undefined) root.setAttributes(tree, { ...options.recursive, recursive: true }, { label });
  for (const propagation of options.propagation) {
    const recursive = (propagation & MS.REC) !== 0;
    root.setAttributes(tree, { propagation: propagation & ~MS.REC, recursive }, { label });
  }
}

function addFilesystem(
  steps: SyscallProgram,
  root: RootDirectory,
  planned: Planned<"filesystem">,
  offerCopyUp: OfferCopyUp,
): void {
  const { source, destination, type, options, noLinks = false } = planned;
  const label = `mount ${source} on ${destination}`;
  const copiesUp = options.copyUp && type === "tmpfs";
  const takesMode = type === "tmpfs" && !/(^|,)mode=/.test(options.data);
  const isFilled = copiesUp || takesMode;
  const offer = isFilled ? offerCopyUp({ withContents: copiesUp, withMode: takesMode }) : undefined;
  const image = takesMode
    ? root.open(destination, { noLinks, into: offer!.image, call: { ignore: ["ENOENT"] } })
    : undefined;
  root.makeDirectories(destination);
  const target = root.open(destination, { noLinks, ...(offer && { into: offer.from }) });
  const flags = options.flags & ~MS.REC & ~(isFilled ? MS.RDONLY : 0);
  steps.call("mount", [source, root.pathTo(target), type, flags, options.data || null], { label });
  root.cover(destination);
  if (isFilled || options.recursive !== undefined || options.propagation.length > 0) {
    // `target` is the directory below the mount; only a new look finds the mount.
    const mounted = root.open(destination, offer && { into: offer.to });
    if (offer !== undefined) {
      offer.addStop();
      const isReadOnly = (options.flags & MS.RDONLY) !== 0;
      if (isReadOnly) root.setAttributes(mounted, { set: MOUNT_ATTR.RDONLY }, { label });
    }
    addTreeChanges(root, { tree: mounted, options, label });
    steps.close(mounted);
  }
  if (image !== undefined) steps.close(image);
  steps.close(target);
}

function addLink(steps: SyscallProgram, root: RootDirectory, { destination, target }: Planned<"link">): void {
  root.inDirectoryOf(destination, (directory, name) => {
    steps.call("symlinkat", [target, directory, name], { label: `make link ${destination}`, ignore: ["EEXIST"] });
  });
}

/** Makes a mount inside the root read-only. */
export function seal(root: RootDirectory, destination: string): void {
  root.setAttributes(root.open(destination), { set: MOUNT_ATTR.RDONLY }, { label: `make ${destination} read-only` });
}

/** relatime is the value 0 of the mode and no bit of its own: this bit, which the kernel does not use, stands for it. */
const TIME_DEFAULT = 2 ** 30;

const ATTRIBUTES: readonly (readonly [flag: number, attribute: number])[] = [
  [MS.RDONLY, MOUNT_ATTR.RDONLY],
  [MS.NOSUID, MOUNT_ATTR.NOSUID],
  [MS.NODEV, MOUNT_ATTR.NODEV],
  [MS.NOEXEC, MOUNT_ATTR.NOEXEC],
  [MS.NODIRATIME, MOUNT_ATTR.NODIRATIME],
  [MS.NOSYMFOLLOW, MOUNT_ATTR.NOSYMFOLLOW],
];

/** The first one counts, as in mount(2). */
const TIME_MODES: readonly (readonly [flag: number, attribute: number])[] = [
  [MS.STRICTATIME, MOUNT_ATTR.STRICTATIME],
  [MS.NOATIME, MOUNT_ATTR.NOATIME],
  [MS.RELATIME, TIME_DEFAULT],
];

/** Flags of mount(2) as attributes of a bind mount. */
export function attributesOf({ flags, cleared }: Pick<MountOptions, "flags" | "cleared">): {
  set: number;
  clear: number;
  hasTimeMode: boolean;
} {
  const translate = (bits: number) =>
    ATTRIBUTES.filter(([flag]) => (bits & flag) !== 0).reduce((sum, [, attribute]) => sum | attribute, 0);
  const time = TIME_MODES.find(([flag]) => (flags & flag) !== 0)?.[1];
  return { set: translate(flags) | (time ?? 0), clear: translate(cleared), hasTimeMode: time !== undefined };
}
