/** Starting a further process in a running container. @module */
import type { Child } from "../../linux/child_program/child.ts";
import { type CgroupJoinTarget, cgroupJoinTarget } from "../../linux/cgroup/cgroup.ts";
import { Fd, O_DIRECTORY, O_PATH, O_WRONLY } from "../../linux/io/fd.ts";
import { startIn } from "../../linux/cgroup/refusal.ts";
import { openPidfd } from "../../linux/process/pidfd.ts";
import { forbidInspection, setScheduler } from "../../linux/process/process.ts";
import { socketPair } from "../../linux/net/socket.ts";
import type { Slot } from "../../linux/child_program/call.ts";
import { SyscallProgram } from "../../linux/child_program/program.ts";
import { subCgroupFiles, type SubCgroups } from "../cgroup/sub_cgroup.ts";
import { Channel } from "../init/channel.ts";
import { type Stdio, stdioFds } from "../init/child_setup.ts";
import type { ContainerParts } from "../container/create_options.ts";
import { isPausedByUs } from "../container/kill.ts";
import { receiveMaster } from "../init/console.ts";
import { applyOomScore, ContainerProcess } from "../container/process.ts";
import { type Await, waitPatiently } from "../init/held.ts";
import { FilterTalk } from "../init/filter_talk.ts";
import { hookArgs, type HookStdio, type RunningHook } from "../hooks/hooks.ts";
import { maySetGroups } from "../mount/idmap.ts";
import { addJoin, type JoinPlan, keptDescriptors } from "./join.ts";
import { differingNamespaces } from "../init/namespaces.ts";
import { planProcess, type Program } from "../init/process_plan.ts";
import { schedulerAttributes } from "../init/scheduling.ts";
import type { Hook, Process } from "../spec/spec.ts";
import { checkAllowed, livePid, type StoredState } from "../container/state.ts";
import { ownsMounts } from "../container/shared_mounts.ts";
import { validateProcess } from "../spec/validate.ts";

/** Of a further process, besides what its specification says. */
export interface ExecOptions {
  stdio?: Stdio;
  /** Descriptors from 3 on that it inherits. */
  preserveFds?: number;
  /** Allows exec in a paused container, where the process waits for a resume. Without this option exec is refused. */
  ignorePaused?: boolean;
  /** Where below the container's cgroup it runs. */
  subCgroups?: SubCgroups;
  /** Program to run, if not the first argument of the process. */
  program?: Program;
  /** Lines end on its terminal as it writes them: see `CreateOptions`. */
  keepsLineEnds?: boolean;
  /** Lets the process outlive this program: see {@linkcode ContainerProcess}. */
  detached?: boolean;
}

/** @returns The process, which runs its program already. @throws {Error} Naming the step that failed. */
export async function execProcess(
  parts: ContainerParts,
  process: Process,
  options: ExecOptions,
): Promise<ContainerProcess> {
  validateProcess(process);
  // A hook of a plain user may join a first process that has not become its program yet: what cannot be looked into is root's.
  if (options.program === undefined || Deno.uid() === 0) forbidInspection();
  await using undo = new AsyncDisposableStack();
  const score = process.oomScoreAdj ?? parts.stored.spec.process?.oomScoreAdj;
  using joining = startJoin(parts, { ...process, ...(score !== undefined && { oomScoreAdj: score }) }, options);
  const { child } = joining;
  undo.use(child);
  // What a container has frozen by itself would not die on v1.
  undo.defer(() => isPausedByUs(parts) ? undefined : parts.cgroup.letDie());
  const { stored, home: { patience } } = parts;
  const pids = () => [child.pid, joining.stage2?.value ?? 0];
  const task = `exec in container "${stored.id}"`;
  const wait = waitPatiently({ patience, task, pids, isPaused: () => isPausedByUs(parts) });
  const console = await serveExec(joining, { parts, process }, wait);
  undo.use(console);
  await child.executed({ until: (end) => wait(end, "run its program") });
  const running = joining.stage2 === undefined ? child : undo.use(child.inherit());
  parts.home.log?.debug(`started process ${running.pid} in container ${parts.stored.id}`);
  // Says so if it had not the right to.
  applyOomScore(running.pid, score, parts.home.log);
  undo.move();
  return new ContainerProcess(running, console, options);
}

/**
 * A hook whose program is the image's, so that it may do no more than the program of the container: it runs as that.
 *
 * @throws {Error} As {@linkcode execProcess}.
 */
export async function execHook(parts: ContainerParts, hook: Hook, stdio: HookStdio): Promise<RunningHook> {
  const { path, env } = hook;
  const process = { ...parts.stored.spec.process!, args: [...hookArgs(hook)], terminal: false };
  const running = await execProcess(parts, process, { stdio, program: { path, ...(env && { env }) } });
  return {
    wait: (options) => running.wait(options),
    [Symbol.asyncDispose]: () => running.end(parts.home.patience),
  };
}

interface Joining extends Disposable {
  child: Child;
  /** Slot for the pid of the stage-2 child, if the steps fork one. */
  stage2: Slot | undefined;
  channel: Channel;
  /** Socket over which the child hands us the master of its terminal. */
  terminal: Fd | undefined;
}

/** Chooses how the process joins its cgroup: after clone3 if it has an initial affinity, which holds until the join. */
function planCgroupJoin(files: readonly string[], { execCPUAffinity }: Process): CgroupJoinTarget {
  return execCPUAffinity?.initial ? { cloneInto: undefined, files } : cgroupJoinTarget(files);
}

function startJoin({ stored, cgroup, home }: ContainerParts, process: Process, options: ExecOptions): Joining {
  const { stdio = {}, preserveFds, program: hook, keepsLineEnds } = options;
  using undo = new DisposableStack();
  using ours = new DisposableStack();
  const channel = undo.use(new Channel());
  const [terminal, terminalSocket] = process.terminal ? socketPair() : [];
  undo.use(terminal);
  ours.use(terminalSocket);
  // Before its pid is known to be its own still.
  const root = ownsMounts(stored.spec) ? undefined : ours.use(openRoot(stored));
  const initPidfd = ours.use(openInit(stored));
  const differing = differingNamespaces(stored.pid);
  const entries = options.subCgroups ? subCgroupFiles(cgroup, options.subCgroups) : cgroup.procsFiles(stored.pid);
  const { cloneInto, files } = planCgroupJoin(entries, process);
  const plan: JoinPlan = {
    id: stored.id,
    process: planProcess(process, {
      linux: stored.spec.linux,
      rootfs: `/proc/${stored.pid}/root`,
      log: home.log,
      program: hook,
    }),
    personality: stored.spec.linux?.personality,
    memoryPolicy: stored.spec.linux?.memoryPolicy,
    initPidfd,
    root,
    namespaces: differing,
    cgroupProcs: files.map((path) => ours.use(Fd.open(path, O_WRONLY))),
    channel,
    terminalSocket,
    keepsLineEnds,
    stdio: stdioFds(stdio),
    preserveFds,
    noNewKeyring: stored.noNewKeyring,
    maySetGroups: !differing.includes("user") || maySetGroups(stored.pid),
  };
  const program = undo.use(new SyscallProgram({ apart: { keeps: keptDescriptors(plan) } }));
  const { stage2 } = addJoin(program, plan);
  const start = {
    ...(cloneInto && { intoCgroup: ours.use(Fd.open(cloneInto, O_PATH | O_DIRECTORY)) }),
    stage2,
    endMs: home.patience?.endMs,
  };
  const child = startIn(cloneInto, () => program.start(start));
  channel.started();
  undo.move();
  return { child, stage2, channel, terminal, [Symbol.dispose]: () => end(channel, terminal) };
}

function openRoot(stored: StoredState): Fd {
  if (livePid(stored) === 0) checkAllowed("exec", { id: stored.id, status: "stopped" });
  return Fd.open(`/proc/${stored.pid}/root`, O_PATH | O_DIRECTORY);
}

/** By descriptor, and only then a look whether it is ours: its pid may have passed to another process meanwhile. */
function openInit(stored: StoredState): Fd {
  using undo = new DisposableStack();
  const pidfd = undo.use(openPidfd(stored.pid));
  if (livePid(stored) === 0) checkAllowed("exec", { id: stored.id, status: "stopped" });
  undo.move();
  return pidfd;
}

function end(channel: Channel, terminal: Fd | undefined): void {
  channel[Symbol.dispose]();
  terminal?.[Symbol.dispose]();
}

/** Answers the child until nothing is left to be taken from it. @returns Its terminal, if it has one. */
async function serveExec(
  joining: Joining,
  { parts: { stored }, process: { scheduler } }: { parts: ContainerParts; process: Process },
  wait: Await,
): Promise<Fd | undefined> {
  const { child, stage2, channel, terminal } = joining;
  using undo = new DisposableStack();
  const master = terminal && undo.use(await receiveMaster(terminal, wait) ?? await failed(child, wait));
  await using filterTalk = new FilterTalk(channel, { stored, status: "running" });
  while (!channel.isOver) {
    const message = await channel.receive(wait);
    if (message === undefined) {
      await filterTalk[Symbol.asyncDispose]();
      return await failed(child, wait);
    }
    const pid = stage2?.value || child.pid;
    using pidfd = openPidfd(pid);
    await filterTalk.answer(message, { pid, pidfd });
    if (message === "stage2") {
      if (scheduler) setScheduler(pid, schedulerAttributes(scheduler));
      await filterTalk.resume();
      await filterTalk.handOverHeld(pid);
    }
    channel.release();
  }
  undo.move();
  return master;
}

async function failed(child: Child, wait: Await): Promise<never> {
  await child.executed({ until: (end) => wait(end, "tell why it ended") });
  throw new Error("Cannot start a process in the container: it was killed");
}
