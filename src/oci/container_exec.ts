/** Starting a further process in a running container. @module */
import type { Child } from "../linux/child.ts";
import { type CgroupEntrance, entranceOf } from "../linux/cgroup.ts";
import { Fd, O_DIRECTORY, O_PATH, O_WRONLY } from "../linux/fd.ts";
import { openNamespace } from "../linux/namespace.ts";
import { openPidfd } from "../linux/pidfd.ts";
import { forbidInspection } from "../linux/process.ts";
import { SyscallProgram } from "../linux/syscall_program.ts";
import { Channel } from "./channel.ts";
import { type Stdio, stdioPlacements } from "./child_setup.ts";
import type { ContainerParts } from "./container_create.ts";
import { applyOomScore, ContainerProcess, ownOomScore } from "./container_process.ts";
import { handOverListener, takeMaster } from "./guide.ts";
import { maySetGroups } from "./idmap.ts";
import { addJoin, type JoinResult } from "./join.ts";
import { differingNamespaces } from "./namespaces.ts";
import { planProcess } from "./process_plan.ts";
import type { Process } from "./spec.ts";
import { Steps } from "./steps.ts";
import { validateProcess } from "./validate.ts";

/** Of a further process, besides what its specification says. */
export interface ExecOptions {
  stdio?: Stdio;
  /** Descriptors from 3 on that it inherits. */
  preserveFds?: number;
  /** Exec in a paused container waits until that is resumed. It is refused without this. */
  ignorePaused?: boolean;
  /** It outlives us: see {@linkcode ContainerProcess}. */
  detached?: boolean;
}

/** @returns The process, which runs its program already. @throws {Error} Naming the step that failed. */
export async function execProcess(
  parts: ContainerParts,
  process: Process,
  options: ExecOptions,
): Promise<ContainerProcess> {
  validateProcess(process);
  forbidInspection();
  await using undo = new AsyncDisposableStack();
  const score = process.oomScoreAdj ?? parts.stored.spec.process?.oomScoreAdj;
  const own = score === undefined ? undefined : ownOomScore();
  using joining = startJoin(parts, { ...process, ...(score !== undefined && { oomScoreAdj: score }) }, options);
  const { child } = joining;
  undo.defer(() => applyOomScore(Deno.pid, own, parts.home.log));
  undo.use(child);
  const console = await guide(joining, parts);
  undo.use(console);
  await child.executed();
  applyOomScore(Deno.pid, own, parts.home.log);
  // Again: another child may have set its own in the moment between this one's last steps.
  applyOomScore(child.pid, score, parts.home.log);
  undo.move();
  return new ContainerProcess(child, console, options);
}

interface Joining extends JoinResult, Disposable {
  child: Child;
  channel: Channel;
}

/** Its first affinity holds until it is in the cgroup: then that is not from its birth. */
function planEntrance(files: readonly string[], { execCPUAffinity }: Process): CgroupEntrance {
  return execCPUAffinity?.initial ? { birthplace: undefined, files } : entranceOf(files);
}

function startJoin({ stored, cgroup }: ContainerParts, process: Process, options: ExecOptions): Joining {
  const { stdio = {}, preserveFds } = options;
  using undo = new DisposableStack();
  using ours = new DisposableStack();
  const channel = undo.use(new Channel());
  const differing = differingNamespaces(stored.pid);
  const { birthplace, files } = planEntrance(cgroup.procsFiles(stored.pid), process);
  const program = undo.use(new SyscallProgram());
  const result = addJoin(new Steps(program), {
    id: stored.id,
    process: planProcess(process, { linux: stored.spec.linux, rootfs: `/proc/${stored.pid}/root` }),
    initPidfd: ours.use(openPidfd(stored.pid)),
    namespaces: differing.filter((type) => type !== "pid"),
    cgroupProcs: files.map((path) => ours.use(Fd.open(path, O_WRONLY))),
    channel,
    stdio: stdioPlacements(stdio),
    preserveFds,
    noNewKeyring: stored.noNewKeyring,
    maySetGroups: !differing.includes("user") || maySetGroups(stored.pid),
  });
  const pidNamespace = differing.includes("pid") ? ours.use(openNamespace("pid", stored.pid)) : undefined;
  const child = program.start({
    ...(pidNamespace && { pidNamespace }),
    ...(birthplace && { intoCgroup: ours.use(Fd.open(birthplace, O_PATH | O_DIRECTORY)) }),
  });
  channel.started();
  undo.move();
  return { child, channel, ...result, [Symbol.dispose]: () => channel[Symbol.dispose]() };
}

/** Answers the child until nothing is left to be taken from it. @returns Its terminal, if it has one. */
async function guide(
  { child, channel, master, listener }: Joining,
  { stored }: ContainerParts,
): Promise<Fd | undefined> {
  using undo = new DisposableStack();
  let taken: Fd | undefined;
  // The master closes when the child executes, the listener earlier: it stops for each.
  const stops = [master, listener].filter((slot) => slot !== undefined);
  for (const _ of stops) {
    const message = await channel.receive();
    if (message === undefined) {
      await child.executed();
      throw new Error("Cannot start a process in the container: it was killed");
    }
    if (message === "listener") await handOverListener(child, listener!, { stored, status: "running" });
    else taken = undo.use(takeMaster(child, master!));
    channel.release();
  }
  undo.move();
  return taken;
}
