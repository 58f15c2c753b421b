/**
 * A proc of a pid namespace that others live in already. A proc shows the namespace of the process that opens it, so
 * one of ours has to be in there, and processes with the right to trace can take over any process they see. They see
 * one, the opener, which can open file systems of a kernel type and hand them over, and nothing else: it has no
 * descriptors, memory, root or calls for more. All that takes rights is done outside.
 *
 * ```text
 * first process    outside, with the machine's rights
 *   |- guard       outside: gives up all it has, loads a filter, enters the pid namespace
 *   |    `- opener inside: fsopen("proc"), hands that over
 *   |- looks whether that is a proc
 *   `- makes a mount of it
 * parent           looks once more, before anything of the container runs
 * ```
 *
 * @see https://man7.org/linux/man-pages/man2/fsopen.2.html
 * @module
 */
import { KataError } from "../../base/error.ts";
import { Fd, O_DIRECTORY, O_PATH, pathOf } from "../../linux/io/fd.ts";
import { openInRoot } from "../../linux/fs/in_root.ts";
import { MOUNT_ATTR, MS } from "../../linux/mount/mount_options.ts";
import { NAMESPACES } from "../../linux/process/namespace_kinds.ts";
import { setCapabilities, setNoNewPrivileges } from "../../linux/security/rights.ts";
import { onlyCalls } from "../../linux/security/seccomp_only.ts";
import { SIGNALS } from "../../linux/process/signal.ts";
import { FILE_SYSTEM_MAGIC, statfs } from "../../linux/fs/statfs.ts";
import type { Slot } from "../../linux/child_program/call.ts";
import {
  CLONE_PARENT,
  cloneArguments,
  type DescriptorMessage,
  descriptorMessage,
} from "../../linux/child_program/calls.ts";
import type { SyscallProgram } from "../../linux/child_program/program.ts";
import { CAP_SYS_ADMIN } from "../security/capabilities.ts";
import type { PlannedMount } from "./planned.ts";
import { viewOf } from "./view.ts";
import { loadFilter } from "../init/filter_steps.ts";

/** The pid namespace of a container that is not new. */
export interface LivedInPids {
  /** Number of its file. */
  fd: number;
  /** A number that no descriptor has. */
  handle: number;
}

export interface ProcMountOptions {
  pids: LivedInPids;
  /** `MOUNT_ATTR` bits. */
  attributes: number;
}

const UINT_MAX = 0xffff_ffff;
const FSOPEN_CLOEXEC = 1;
const FSMOUNT_CLOEXEC = 1;
const [FSCONFIG_SET_FLAG, FSCONFIG_SET_STRING, FSCONFIG_CMD_CREATE] = [0, 1, 6];

/** A detached mount of it. @returns Its descriptor. */
export function addProc(
  steps: SyscallProgram,
  { source, destination, options }: Extract<PlannedMount, { kind: "filesystem" }>,
  { pids, attributes }: ProcMountOptions,
): Slot {
  const label = `mount ${source} on ${destination}`;
  const [ours, theirs] = socketPair(steps, label);
  const message = descriptorMessage(steps);
  addGuard(steps, { pids, socket: theirs, message });
  steps.close(theirs);
  message.receive(ours, label);
  steps.close(ours);
  reapBoth(steps);
  addKindCheck(steps, message.fd, destination);
  const words = options.data.split(",").filter((word) => word !== "");
  configure(steps, message.fd, { words: (options.flags & MS.RDONLY) !== 0 ? ["ro", ...words] : words, source, label });
  const tree = steps.slot();
  steps.call("fsmount", [message.fd, FSMOUNT_CLOEXEC, attributes], { label, result: tree });
  steps.close(message.fd);
  return tree;
}

/** Two ends, of which each is a slot: the kernel writes two numbers of four bytes, and takes no more of one. */
function socketPair(steps: SyscallProgram, label: string): [Slot, Slot] {
  const [AF_UNIX, SOCK_SEQPACKET_CLOEXEC] = [1, 0o2000005];
  const piece = steps.allocate(16);
  steps.call("socketpair", [AF_UNIX, SOCK_SEQPACKET_CLOEXEC, 0, piece.address], { label });
  return [steps.slot({ piece, offset: 0 }), steps.slot({ piece, offset: 4 })];
}

/**
 * A root for a process that others look through, by /proc/PID/root: an empty one. Of the container's own they would keep a
 * copy, that can be written to and has no masks. And they climb by ".." as far as mounts have parents: this one has none.
 */
function addNothing(steps: SyscallProgram, label: string): Slot {
  const [context, tree] = [steps.slot(), steps.slot()];
  steps.call("fsopen", ["tmpfs", FSOPEN_CLOEXEC], { label, result: context });
  steps.call("fsconfig", [context, FSCONFIG_SET_FLAG, "ro", null, 0], { label });
  steps.call("fsconfig", [context, FSCONFIG_CMD_CREATE, null, null, 0], { label });
  steps.call("fsmount", [context, FSMOUNT_CLOEXEC, MOUNT_ATTR.RDONLY], { label, result: tree });
  return tree;
}

interface Guard {
  pids: LivedInPids;
  socket: Slot;
  message: DescriptorMessage;
}

function addGuard(steps: SyscallProgram, { pids, socket, message }: Guard): void {
  const fork = { zeroFails: true, ignore: ["EPIPE"] } as const;
  const guard = cloneArguments(steps, { exitSignal: SIGNALS.SIGCHLD });
  const label = "start a guard";
  // In the guard the result is 0, which counts as a failure here.
  steps.callOrElse({ name: "clone3", args: guard, options: { ...fork, label } }, () => {
    steps.call("fchdir", [addNothing(steps, label)], { label });
    steps.call("chroot", ["."], { label });
    steps.call("setns", [pids.fd, NAMESPACES.pid], { label: "join pid namespace" });
    steps.call("dup3", [socket, pids.handle, 0], { label });
    steps.call("close_range", [0, pids.handle - 1, 0], { label });
    steps.call("close_range", [pids.handle + 1, UINT_MAX, 0], { label });
    const right = 1n << BigInt(CAP_SYS_ADMIN);
    const sets = { effective: right, permitted: right, inheritable: 0n };
    setCapabilities(steps, sets, label);
    setNoNewPrivileges(steps);
    loadFilter(steps, onlyCalls(["clone3", "fsopen", "sendmsg", "exit_group"]), { label });
    steps.call("clone3", cloneArguments(steps, { flags: CLONE_PARENT }), { ...fork, label, skipIfIgnored: 1 });
    steps.call("exit_group", [0]);
    steps.call("fsopen", ["proc", FSOPEN_CLOEXEC], { label: "open proc", result: message.fd });
    message.send(pids.handle, { label });
    steps.call("exit_group", [0]);
  });
}

/** Guard and opener are both children of the first process. */
function reapBoth(steps: SyscallProgram): void {
  const [P_ALL, WEXITED] = [0, 4];
  for (let count = 0; count < 2; count++) {
    steps.call("waitid", [P_ALL, 0, null, WEXITED, null], { label: "reap a guard", ignore: ["ECHILD"] });
  }
}

/**
 * Checks that the opener opened a proc: a process that traces the opener may have had it open another file system, of
 * which nothing is mounted yet. Only a proc knows this option, and so takes its default and refuses nonsense, while
 * some other file systems take any value. Both values are of one length: a context of the old kind that somebody has
 * filled says EINVAL to what does not fit.
 *
 * @param context Of a file system that is not configured yet. The steps fail unless it is a proc.
 */
export function addKindCheck(steps: SyscallProgram, context: Slot, destination: string): void {
  const explain = () => tamperedWith(destination);
  const label = "look what was opened";
  const set = (value: string) => [context, FSCONFIG_SET_STRING, "hidepid", value, 0];
  steps.call("fsconfig", set("x"), { label, ignore: ["EINVAL"], skipIfIgnored: 1 });
  steps.fail(label, explain);
  steps.call("fsconfig", set("0"), { label, explain: (failure) => failure.code === "EINVAL" ? explain() : failure });
}

function configure(
  steps: SyscallProgram,
  context: Slot,
  { words, source, label }: { words: readonly string[]; source: string; label: string },
): void {
  steps.call("fsconfig", [context, FSCONFIG_SET_STRING, "source", source, 0], { label });
  for (const word of words) {
    const [key = "", ...rest] = word.split("=");
    const args = rest.length === 0
      ? [context, FSCONFIG_SET_FLAG, key, null, 0]
      : [context, FSCONFIG_SET_STRING, key, rest.join("="), 0];
    steps.call("fsconfig", args, { label });
  }
  steps.call("fsconfig", [context, FSCONFIG_CMD_CREATE, null, null, 0], { label });
}

/** Where a proc is to be seen in the end: not below what is mounted later. */
export function procsOf(mounts: readonly PlannedMount[]): string[] {
  const covers = (above: PlannedMount, { destination }: PlannedMount) =>
    above.kind !== "link" && `${destination}/`.startsWith(`${above.destination}/`);
  const seen = viewOf(mounts, "").mounts;
  return seen.filter((mount, index) =>
    mount.kind === "filesystem" && mount.type === "proc" && !seen.slice(index + 1).some((one) => covers(one, mount))
  ).map(({ destination }) => destination);
}

/**
 * Looks at what stands where a container shall have its proc, before it is started.
 *
 * @param pid The container's first process. @throws {KataError} PERMISSION_DENIED: it is no proc.
 */
export function verifyProc(pid: number, destination: string): void {
  using root = Fd.open(`/proc/${pid}/root`, O_PATH | O_DIRECTORY);
  using proc = openInRoot(root, destination, { flags: O_PATH | O_DIRECTORY });
  if (statfs(pathOf(proc)).magic === FILE_SYSTEM_MAGIC.proc) return;
  throw tamperedWith(destination);
}

function tamperedWith(destination: string): KataError {
  return new KataError("PERMISSION_DENIED", `Cannot mount proc on "${destination}": what opened it was tampered with`);
}
