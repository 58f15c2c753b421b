/**
 * The steps that give a process its identity: limits, labels, ids, capabilities, filter. The first process of a container
 * and those that join it later share them; the order is the point.
 *
 * @see https://man7.org/linux/man-pages/man7/capabilities.7.html
 * @module
 */
import { MAX_CPUS } from "../../base/cpu_list.ts";
import { AT_FDCWD, O_DIRECTORY, O_PATH } from "../../linux/io/fd.ts";
import { openHow } from "../../linux/fs/in_root.ts";
import { labelWrites } from "../../linux/security/label.ts";
import type { CompiledSeccomp } from "../../linux/security/seccomp.ts";
import type { CallOptions, Slot } from "../../linux/child_program/call.ts";
import { dropBounding, setCapabilities, setNoNewPrivileges } from "../../linux/security/rights.ts";
import { changeIds, CLONE_PTRACE, type Stage2Options, writeFile } from "../../linux/child_program/calls.ts";
import type { SyscallProgram } from "../../linux/child_program/program.ts";
import type { ToldCall } from "../../linux/security/suspended_filter.ts";
import { CAP_SYS_ADMIN, capabilityNumbers, type CapabilitySets } from "../security/capabilities.ts";
import type { Channel } from "./channel.ts";
import { addSeccomp, allowsAppearing, CLEAR_AMBIENT, CONTROLLING_TERMINAL, loadSeccomp } from "./filter_steps.ts";
import { explainExec, type ProcessPlan } from "./process_plan.ts";
import { memoryPolicyArguments } from "./memory_policy.ts";
import { cpuMask, ioPriorityValue, schedulerAttributes } from "./scheduling.ts";
import type { MemoryPolicy, Process } from "../spec/spec.ts";

const PR_SET_KEEPCAPS = 8;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_RAISE = 2;
/** To chown(2). */
const SAME_ID = -1;

/** Adds the steps that need our own /proc and our own rights: before any namespace is entered. */
export function addEarly(steps: SyscallProgram, process: Process): void {
  const { apparmorProfile, selinuxLabel, ioPriority, oomScoreAdj } = process;
  // Both take effect at the next execve only.
  for (const { path, data } of labelWrites({ apparmor: apparmorProfile, selinux: selinuxLabel })) {
    writeFile(steps, path, { content: data, label: `label process ${data}` });
  }
  if (oomScoreAdj !== undefined) {
    // Lowering it takes rights that may be missing.
    const ignore = ["EACCES", "EPERM"] as const;
    const path = "/proc/self/oom_score_adj";
    writeFile(steps, path, { content: `${oomScoreAdj}`, label: "set oom_score_adj", ignore });
  }
  if (ioPriority) {
    const IOPRIO_WHO_PROCESS = 1;
    steps.call("ioprio_set", [IOPRIO_WHO_PROCESS, 0, ioPriorityValue(ioPriority)], { label: "set I/O priority" });
  }
}

/** A process of real time is taken only by a cgroup that has a share of it: so this comes after the cgroup. */
export function addScheduler(steps: SyscallProgram, { scheduler }: Process): void {
  if (scheduler) steps.call("sched_setattr", [0, schedulerAttributes(scheduler), 0], { label: "set scheduler" });
}

/** Of what the process and its children take memory. */
export function addMemoryPolicy(steps: SyscallProgram, policy: MemoryPolicy | undefined): void {
  if (!policy?.mode) return;
  const { mode, nodes } = memoryPolicyArguments(policy);
  // The kernel reads one bit less than it is told of.
  const args = nodes === undefined ? [mode, null, 0] : [mode, nodes, nodes.length * 8 + 1];
  steps.call("set_mempolicy", args, { label: `set memory policy ${policy.mode}` });
}

/** Where a process that joins may run: `initial` until it is in the cgroup, `final` from then on. */
export function addAffinity(steps: SyscallProgram, { process }: ProcessPlan, moment: "initial" | "final"): void {
  const list = process.execCPUAffinity?.[moment];
  if (!list) return;
  const mask = cpuMask(list);
  steps.call("sched_setaffinity", [0, mask.length, mask], { label: `set ${moment} CPU affinity ${list}` });
}

/** All CPUs of the cgroup that it has joined: that its caller may use fewer is no wish of the configuration. */
export function resetAffinity(steps: SyscallProgram): void {
  const all = new Uint8Array(MAX_CPUS / 8).fill(0xff);
  steps.call("sched_setaffinity", [0, all.length, all], { label: "use all CPUs", ignore: "all" });
}

/** Raising a hard limit takes CAP_SYS_RESOURCE of the machine's own user namespace. */
export function addRlimits(steps: SyscallProgram, { rlimits }: Pick<ProcessPlan, "rlimits">): void {
  for (const { name, resource, limits } of rlimits) {
    steps.call("prlimit64", [0, resource, limits, null], { label: `set ${name}` });
  }
}

/** Keys of the container stay apart from ours. A process that joins finds the keyring by its name, with leave to search. */
export function addSessionKeyring(steps: SyscallProgram, id: string): void {
  const [KEYCTL_JOIN_SESSION_KEYRING, KEYCTL_SETPERM] = [1, 5];
  /** All to its possessor; to its user: view, read, search and link. */
  const PERMISSIONS = 0x3f1b0000;
  const label = "join session keyring";
  const keyring = steps.slot();
  const join = { name: "keyctl" as const, args: [KEYCTL_JOIN_SESSION_KEYRING, `_ses.${id}`] };
  steps.callThen({ ...join, options: { label, result: keyring, ignore: ["ENOSYS"] } }, () => {
    steps.call("keyctl", [KEYCTL_SETPERM, keyring, PERMISSIONS], { label: "open session keyring", ignore: ["EACCES"] });
  });
}

const WORKING_DIRECTORY_TRIES = 16;

/**
 * Goes to the working directory. It is opened inside the root and without magic links: a path such as /proc/self/fd/7
 * would lead out through a descriptor of ours.
 *
 * @param root The container's root; or none, if it is the root of this process already.
 */
export function addWorkingDirectory(
  steps: SyscallProgram,
  { cwd, root }: { cwd: string; root: Slot | undefined },
): void {
  const label = `change to directory ${cwd}`;
  const how = openHow({ flags: O_PATH | O_DIRECTORY });
  const directory = steps.slot();
  if (root === undefined) steps.call("chdir", ["/"], { label });
  const open = (more: CallOptions) =>
    steps.call("openat2", [root ?? AT_FDCWD, cwd, how, how.length], { label, result: directory, ...more });
  // Any rename on the machine makes the kernel give up on a `..` of a link, of which the root has none.
  for (let left = cwd === "/" ? 0 : WORKING_DIRECTORY_TRIES - 1; left > 0; left--) {
    open({ ignore: ["EAGAIN"], skipIfDone: left });
  }
  open({});
  steps.call("fchdir", [directory], { label });
  steps.close(directory);
}

export interface LateOptions {
  /** Descriptors to hand over to the user of the process: its own pipes, or its terminal. Their group stays. */
  ownedFds: readonly number[];
  hasTerminal: boolean;
  channel: Channel;
  maySetGroups: boolean;
  /** Adds what comes before {@linkcode LateOptions.appear} and no filter need allow. */
  leave: (kept: { talk: readonly number[] }) => void;
  /**
   * Adds what lets processes of the container see this one: as late as can be, when it has no more rights than they.
   * Undefined if there is nobody else, or if they see it already.
   */
  appear: ((by: Stage2Options) => void) | undefined;
  /** Whether to fail now if the program cannot be run: what looks is for no filter to forbid. */
  isChecked: boolean;
  /** Whether the parent is told the pid of the process that goes on, as soon as that has appeared. */
  isFollowed: boolean;
}

export interface Identity {
  lateFilter: CompiledSeccomp | undefined;
}

/** From root to the user of the process. The descriptors 0 to 2 are in place. */
export function addIdentity(steps: SyscallProgram, plan: ProcessPlan, options: LateOptions): Identity {
  becomeUser(steps, plan, options);
  const { hasTerminal, channel, isFollowed } = options;
  const { capabilities, seccomp, process: { noNewPrivileges = false } } = plan;
  const loading = planLoading(plan, options);
  const isOutside = loading === "outside" || loading === "suspended";
  const tells = options.appear !== undefined && (isFollowed || loading === "suspended" || isOutside && seccomp!.notify);
  const talks = tells || (seccomp?.notify ?? false);
  const appear = (by: Stage2Options) => {
    options.appear?.(by);
    steps.call("setsid", [], { ignore: ["EPERM"] });
    if (hasTerminal) steps.call("ioctl", CONTROLLING_TERMINAL, { label: "set controlling terminal" });
    if (tells) channel.addStop(steps, "stage2");
  };
  const takesRight = loading !== "later" && !noNewPrivileges;
  if (!takesRight) addRights(steps, plan);
  else setCapabilities(steps, withSysAdmin(capabilities));
  if (options.isChecked) addExecutableCheck(steps, plan);
  options.leave({ talk: talks ? channel.childNumbers : [] });
  if (loading === "suspended") {
    channel.suspendedCalls = callsInSight({ hasTerminal, channel });
    channel.addStop(steps, "suspend");
  }
  if (!isOutside) appear({});
  if (loading === "later") return { lateFilter: seccomp };
  addSeccomp(steps, seccomp!, { channel, as: isOutside ? "heldListener" : "listener" });
  if (takesRight) addRights(steps, plan);
  if (isOutside) appear(loading === "suspended" ? { flags: CLONE_PTRACE } : { by: "clone" });
  return { lateFilter: undefined };
}

/** Calls by which a process appears among others. */
function callsInSight({ hasTerminal, channel }: Pick<LateOptions, "hasTerminal" | "channel">): ToldCall[] {
  const [write, read] = channel.childNumbers;
  return [
    { name: "setsid" },
    ...hasTerminal ? [{ name: "ioctl", args: CONTROLLING_TERMINAL } as const] : [],
    { name: "write", args: [write, undefined, 1] },
    { name: "read", args: [read, undefined, 1] },
  ];
}

function becomeUser(
  steps: SyscallProgram,
  { process: { user }, capabilities, lastCapability }: ProcessPlan,
  { ownedFds, maySetGroups }: LateOptions,
): void {
  for (const fd of ownedFds) {
    // A pipe to /dev/stdout is opened anew by many programs, which needs its ownership. Some files do not have one.
    const ignore = ["EINVAL", "EPERM", "EROFS", "EACCES", "EOPNOTSUPP"] as const;
    steps.call("fchown", [fd, user.uid, SAME_ID], { label: `hand over fd ${fd}`, ignore });
  }
  steps.call("umask", [user.umask ?? 0o022]);
  dropBounding(steps, { kept: capabilities.bounding, last: lastCapability });
  steps.call("prctl", [PR_SET_KEEPCAPS, 1, 0, 0, 0], { label: "keep capabilities" });
  const { uid, gid, additionalGids: groups = [] } = user;
  changeIds(steps, { uid, gid, ...(maySetGroups && { groups }) });
  steps.call("prctl", [PR_SET_KEEPCAPS, 0, 0, 0, 0], { label: "keep no capabilities" });
}

/**
 * Where the filter is loaded: `later`, with no_new_privs, if at all; `outside`, before the process appears, so that nobody
 * finds it without; `suspended`, as that, but it does not allow to appear; `inside`, where nobody looks, or where it does
 * not allow to appear and the process has CAP_SYS_ADMIN by right.
 */
type Loading = "later" | "inside" | "outside" | "suspended";

/** Without no_new_privs a filter takes CAP_SYS_ADMIN: it is loaded while that is still there. */
function planLoading(plan: ProcessPlan, { appear, hasTerminal }: LateOptions): Loading {
  const { seccomp, capabilities, process: { noNewPrivileges } } = plan;
  if (seccomp === undefined) return "later";
  if (noNewPrivileges) {
    return appear && allowsAppearing(seccomp, { hasTerminal }) ? "outside" : "later";
  }
  if (appear === undefined) return "inside";
  if (allowsAppearing(seccomp, { hasTerminal })) return "outside";
  return capabilities.permitted === withSysAdmin(capabilities).permitted ? "inside" : "suspended";
}

function addRights(steps: SyscallProgram, { capabilities, process: { noNewPrivileges } }: ProcessPlan): void {
  setCapabilities(steps, capabilities);
  addAmbient(steps, capabilities);
  if (noNewPrivileges) setNoNewPrivileges(steps);
}

function withSysAdmin(sets: CapabilitySets): CapabilitySets {
  const bit = 1n << BigInt(CAP_SYS_ADMIN);
  return { ...sets, permitted: sets.permitted | bit, effective: sets.effective | bit };
}

function addAmbient(steps: SyscallProgram, { ambient }: CapabilitySets): void {
  const label = "set ambient capabilities";
  steps.call("prctl", CLEAR_AMBIENT, { label, ignore: ["EINVAL"] });
  for (const number of capabilityNumbers(ambient)) {
    steps.call("prctl", [PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0], { label });
  }
}

/** Loads a late filter that notifies, while there is still somebody to hand its listener over. */
export function addListenedFilter(steps: SyscallProgram, { lateFilter }: Identity, channel: Channel): void {
  if (lateFilter?.notify) addSeccomp(steps, lateFilter, { channel });
}

/** Fails now, with the usual words, if none of the candidates can be run: at start it would be too late to say so. */
function addExecutableCheck(steps: SyscallProgram, { args, candidates }: ProcessPlan): void {
  const [F_OK, X_OK] = [0, 1];
  const AT_EACCESS = 0x200;
  const name = args[0] ?? "";
  const label = "find executable";
  const check = (rest: readonly string[]): void => {
    const [path, ...others] = rest;
    const last = others.length === 0;
    const options = { label, explain: (failure: { code: string }) => explainExec(name, failure.code) };
    const call = { name: "faccessat2" as const, args: [AT_FDCWD, path ?? "", X_OK, AT_EACCESS] };
    if (last) steps.call(call.name, call.args, options);
    else steps.callOrElse({ ...call, options: { ...options, ignore: "all" } }, () => check(others));
  };
  // A directory may have that right as well. No PATH leads to one.
  const isDirectory = { name: "faccessat2" as const, args: [AT_FDCWD, `${name}/.`, F_OK, 0] };
  if (name.includes("/")) {
    steps.callThen({ ...isDirectory, options: { label, ignore: "all" } }, () => {
      steps.fail(label, () => explainExec(name, "EACCES"));
    });
  }
  check(candidates);
}

/** The end: becomes the program. */
export function addExec(steps: SyscallProgram, plan: ProcessPlan, { lateFilter }: Identity): void {
  const { args, env, candidates } = plan;
  if (lateFilter !== undefined && !lateFilter.notify) loadSeccomp(steps, lateFilter);
  steps.execve(candidates, { args, env, explain: ({ code }) => explainExec(args[0] ?? "", code) });
}
