/**
 * Starting a child on a program of steps.
 *
 * @see https://man7.org/linux/man-pages/man2/clone3.2.html
 * @module
 */
import type { ApartChild } from "./apart.ts";
import { Child } from "./child.ts";
import { ErrnoError } from "../ffi/errno.ts";
import { F_DUPFD_CLOEXEC, Fd, pipe } from "../io/fd.ts";
import { LITTLE_ENDIAN } from "../ffi/libc.ts";
import { HEADER, runProgram } from "./machine_code.ts";
import { type Piece, type ProgramMemory, setWord } from "./memory.ts";
import { NAMESPACES } from "../process/namespace_kinds.ts";
import { resetSignals, SIG_SETMASK, SIGSET_SIZE } from "./reset_signals.ts";
import { keepChildren } from "../process/caught_signals.ts";
import { SIGNALS } from "../process/signal.ts";
import { HIGH_NUMBER, layOutSteps, type Slot, type Step, type StepList, systemCall } from "./call.ts";

const CLONE_VM = 0x100n;
const CLONE_PIDFD = 0x1000n;
const CLONE_VFORK = 0x4000n;
const CLONE_CHILD_CLEARTID = 0x200000n;
const CLONE_CLEAR_SIGHAND = 1n << 32n;
const CLONE_INTO_CGROUP = 1n << 33n;

/** Namespaces that clone3 can make for a child. Not time: that takes unshare(2) in the child, and its execve. */
export const NEW_NAMESPACE = {
  newns: NAMESPACES.mnt,
  newcgroup: NAMESPACES.cgroup,
  newuts: NAMESPACES.uts,
  newipc: NAMESPACES.ipc,
  newuser: NAMESPACES.user,
  newpid: NAMESPACES.pid,
  newnet: NAMESPACES.net,
} as const;

export type NamespaceFlag = keyof typeof NEW_NAMESPACE;

export interface StartOptions {
  /** New namespaces. With `newuser` the others belong to it. */
  flags?: readonly NamespaceFlag[];
  /** Block until the child has executed or ended. For steps that wait for nobody, of a child that is not apart. */
  vfork?: boolean;
  /** Directory of a cgroup of version 2, in which clone3 puts the child. */
  intoCgroup?: Fd;
  /** Result of `forkStage2`, if the steps fork a stage-2 child. */
  stage2?: Slot | undefined;
  /** Result of `forkStage2` for a stage-2 child that takes over before the child executes. */
  replacement?: Slot | undefined;
  /** How long its end may take once it was killed, in milliseconds. Default: 10,000. */
  endMs?: number | undefined;
}

const SIG_BLOCK_ALL = 0xffff_ffff_ffff_ffffn;

/** Whether the ends of our children are kept for us. */
let areKept = false;

/** A child, and its steps. */
export interface Started {
  child: Child;
  steps: StepList;
}

export interface Beginning {
  steps: readonly Step[];
  /** For steps that are added when the child runs. */
  room?: number;
  /** Set for a child in memory of its own. */
  apart?: ApartChild | undefined;
}

/** Runs clone3. Takes over `memory`. */
export function startChild(memory: ProgramMemory, beginning: Beginning, options: StartOptions): Started {
  using undo = new DisposableStack();
  undo.use(memory);
  if (!areKept) keepChildren();
  areKept = true;
  const { apart, room = 0 } = beginning;
  using executing = apart || options.vfork ? undefined : executionPipe();
  undo.use(apart);
  const { ours } = memory;
  const header = ours.allocate(HEADER.size);
  const steps = apart === undefined
    ? layOutChild(memory, header, { ...beginning, first: [...executing?.arrival() ?? [], ...resetSignals(memory)] })
    : layOutPassage(memory, header, { ...beginning, apart });
  const { view } = header;
  surroundClone(ours, view);
  setWord(view, HEADER.cloneArgs, cloneArgs(ours, header, options));
  setWord(view, HEADER.cloneArgsSize, CLONE_ARGS_SIZE);
  view.setUint32(HEADER.alive, 1, LITTLE_ENDIAN);
  if (room > 0) memory.turnPage();
  memory.settle({ mayGrow: room > 0 });

  const pid = runProgram(header.address);
  if (pid < 0) throw new ErrnoError("clone3", -pid, options.flags?.join(" "));
  undo.move();
  const pidfd = new Fd(view.getUint32(HEADER.pidfd, LITTLE_ENDIAN));
  const { stage2, replacement, endMs } = options;
  const executed = (apart ?? executing)?.take();
  const running = { memory, header: view, steps, apart: apart?.header.view, executed, stage2, replacement };
  return { child: new Child({ pid, pidfd, program: running, ...(endMs !== undefined && { endMs }) }), steps };
}

type Allocator = Pick<ProgramMemory, "allocate">;

function setList(
  view: DataView<ArrayBuffer>,
  offset: number,
  { address, end }: Pick<StepList, "address" | "end">,
): void {
  setWord(view, offset, address);
  setWord(view, offset + 8, end);
}

/** @param options `first`: what comes before all other steps. */
function layOutChild(
  memory: ProgramMemory,
  { view }: Piece,
  { steps, room = 0, first }: Beginning & { first: readonly Step[] },
): StepList {
  if (room > 0) memory.turnPage();
  const all = first.length === 0 ? steps : [...first, ...steps];
  const list = layOutSteps(memory, all, all.length + room);
  setList(view, HEADER.child, list);
  return list;
}

/** Two programs: what happens in our memory, and all that comes after. */
function layOutPassage(
  memory: ProgramMemory,
  header: Piece,
  beginning: Beginning & { apart: ApartChild },
): StepList {
  const { apart } = beginning;
  const passage = layOutSteps(memory.ours, apart.passage());
  setList(header.view, HEADER.child, passage);
  const program = apart.header;
  const steps = layOutChild(memory, program, { ...beginning, first: [] });
  setList(program.view, HEADER.failing, apart.failing);
  return { ...steps, at: (address) => steps.at(address) ?? passage.at(address) };
}

/** No signal is handled between clone3 and the child's first steps. */
function surroundClone(memory: Allocator, view: DataView<ArrayBuffer>): void {
  const all = memory.allocate(SIGSET_SIZE);
  all.view.setBigUint64(0, SIG_BLOCK_ALL, LITTLE_ENDIAN);
  const old = memory.allocate(SIGSET_SIZE).address;
  const block = systemCall("rt_sigprocmask", [SIG_SETMASK, all.address, old, SIGSET_SIZE]);
  const restore = systemCall("rt_sigprocmask", [SIG_SETMASK, old, 0, SIGSET_SIZE], { ignore: "all" });
  setList(view, HEADER.before, layOutSteps(memory, [block]));
  setList(view, HEADER.after, layOutSteps(memory, [restore]));
}

/** Offsets of struct clone_args. @see https://man7.org/linux/man-pages/man2/clone.2.html */
const CLONE_ARGS = {
  flags: 0,
  pidfd: 8,
  child_tid: 16,
  parent_tid: 24,
  exit_signal: 32,
  stack: 40,
  stack_size: 48,
  tls: 56,
  set_tid: 64,
  set_tid_size: 72,
  cgroup: 80,
};
const CLONE_ARGS_SIZE = 88;
const STACK_SIZE = 4096;

/** struct clone_args */
function cloneArgs(memory: Allocator, header: Piece, options: StartOptions): number {
  const { address, view } = memory.allocate(CLONE_ARGS_SIZE);
  const { flags: namespaces = [], vfork = false, intoCgroup } = options;
  let flags = CLONE_VM | CLONE_PIDFD | CLONE_CHILD_CLEARTID | CLONE_CLEAR_SIGHAND;
  for (const name of namespaces) flags |= BigInt(NEW_NAMESPACE[name]);
  if (vfork) flags |= CLONE_VFORK;
  if (intoCgroup !== undefined) flags |= CLONE_INTO_CGROUP;
  const fields: Record<keyof typeof CLONE_ARGS, number | bigint> = {
    flags,
    pidfd: header.address + HEADER.pidfd,
    child_tid: header.address + HEADER.alive,
    parent_tid: 0,
    exit_signal: SIGNALS.SIGCHLD,
    stack: memory.allocate(STACK_SIZE).address,
    stack_size: STACK_SIZE,
    tls: 0,
    set_tid: 0,
    set_tid_size: 0,
    cgroup: intoCgroup?.number ?? 0,
  };
  for (const [name, offset] of Object.entries(CLONE_ARGS)) setWord(view, offset, fields[name as keyof typeof fields]);
  return address;
}

interface ExecutionPipe extends Disposable {
  /** Move the child's end out of the way. */
  arrival(): readonly Step[];
  /** Once the child has its end: closes ours. @returns The end to read. */
  take(): Fd;
}

/** A pipe that ends when the child executes or exits: only the child holds its close-on-exec writing end. */
function executionPipe(): ExecutionPipe {
  const { read, write } = pipe();
  const { number } = write;
  return {
    // In the child, as a process with threads waits 10 ms for the kernel to grow its table of descriptors. RLIMIT_NOFILE
    // may be below: then some number is better than no child.
    arrival: () => [
      systemCall("fcntl", [number, F_DUPFD_CLOEXEC, HIGH_NUMBER], { ignore: ["EINVAL"], skipIfIgnored: 1 }),
      systemCall("close", [number]),
    ],
    take() {
      write[Symbol.dispose]();
      return new Fd(read.release());
    },
    [Symbol.dispose]() {
      write[Symbol.dispose]();
      read[Symbol.dispose]();
    },
  };
}
