/**
 * Starting a child on a program of steps.
 *
 * @see https://man7.org/linux/man-pages/man2/clone3.2.html
 * @module
 */
import { Child } from "./child.ts";
import { ERRNO, ErrnoError } from "./errno.ts";
import { Fd, O_RDONLY, pipe } from "./fd.ts";
import { LITTLE_ENDIAN } from "./libc.ts";
import { HEADER, runProgram } from "./machine_code.ts";
import { type Piece, type ProgramMemory, setWord } from "./program_memory.ts";
import { SIGNALS } from "./signal.ts";
import { type CallOptions, layOutSteps, Slot, type Step, type StepList } from "./step.ts";
import { type SyscallName, syscallNumber } from "./syscall_numbers.ts";

const CLONE_VM = 0x100n;
const CLONE_PIDFD = 0x1000n;
const CLONE_VFORK = 0x4000n;
const CLONE_CHILD_CLEARTID = 0x200000n;
const CLONE_CLEAR_SIGHAND = 1n << 32n;
const CLONE_INTO_CGROUP = 1n << 33n;

/** Namespaces that a child can be born into. Not time: that takes unshare(2) in the child, and its execve. */
export const NEW_NAMESPACE = {
  newns: 0x20000,
  newcgroup: 0x2000000,
  newuts: 0x4000000,
  newipc: 0x8000000,
  newuser: 0x10000000,
  newpid: 0x20000000,
  newnet: 0x40000000,
} as const;

export type NamespaceFlag = keyof typeof NEW_NAMESPACE;

export interface StartOptions {
  /** New namespaces. With `newuser` the others belong to it. */
  flags?: readonly NamespaceFlag[];
  /** Stand still until the child has executed or ended. For steps that wait for nobody. */
  vfork?: boolean;
  /** Directory of a cgroup of version 2, to be born in. */
  intoCgroup?: Fd;
  /** An existing pid namespace to be born in. */
  pidNamespace?: Fd;
  /** What `bearHeir` gave, if the steps have it. */
  heir?: Slot | undefined;
  /** The same of an early one. */
  successor?: Slot | undefined;
}

const SIG_BLOCK_ALL = 0xffff_ffff_ffff_ffffn;
const SIG_SETMASK = 2;
const SIGSET_SIZE = 8;

/** Dispositions that survive clone and exec: ignored by us, or by whoever started us (nohup, a shell's `&`). */
const PERHAPS_IGNORED = [
  SIGNALS.SIGHUP,
  SIGNALS.SIGINT,
  SIGNALS.SIGQUIT,
  SIGNALS.SIGPIPE,
  SIGNALS.SIGCHLD,
  SIGNALS.SIGTSTP,
  SIGNALS.SIGTTIN,
  SIGNALS.SIGTTOU,
  SIGNALS.SIGXFSZ,
  // glibc's own two: its posix_spawn leaves them ignored in whoever it started us as.
  32,
  33,
];

/** A child, and its steps. */
export interface Started {
  child: Child;
  steps: StepList;
}

/** Runs clone3. Takes over `memory`. @param room For steps that are added when the child runs. */
export function startChild(
  memory: ProgramMemory,
  { steps, room = 0 }: { steps: readonly Step[]; room?: number },
  options: StartOptions,
): Started {
  using undo = new DisposableStack();
  undo.use(memory);
  const header = memory.allocate(HEADER.size);
  using executing = options.vfork ? undefined : executionPipe();
  const all = [...executing?.childSteps ?? [], ...resetSignals(memory), ...steps];
  const childSteps = layOutSteps(memory, all, all.length + room);
  using around = surroundings(memory, options);
  const before = layOutSteps(memory, around.before);
  const after = layOutSteps(memory, around.after);

  const { view } = header;
  setWord(view, HEADER.cloneArgs, cloneArgs(memory, header, options));
  setWord(view, HEADER.cloneArgsSize, CLONE_ARGS_SIZE);
  for (const [offset, list] of [[HEADER.before, before], [HEADER.child, childSteps], [HEADER.after, after]] as const) {
    setWord(view, offset, list.address);
    setWord(view, offset + 8, list.end);
  }
  // Who has memory of its own is not told to clear it.
  view.setUint32(HEADER.alive, memory.isApart ? 0 : 1, LITTLE_ENDIAN);

  const pid = runProgram(header.address);
  const lost = around.failure();
  if (pid < 0) {
    const label = before.at(Number(view.getBigUint64(HEADER.failed, LITTLE_ENDIAN)))?.label;
    throw lost ??
      new ErrnoError(label ?? "clone3", -pid, label === undefined ? describeClone(-pid, options) : undefined);
  }
  undo.move();
  const pidfd = new Fd(view.getUint32(HEADER.pidfd, LITTLE_ENDIAN));
  const { heir, successor } = options;
  const program = { memory, header: view, steps: childSteps, executed: executing?.take(), heir, successor };
  const child = new Child({ pid, pidfd, program });
  if (lost === undefined) return { child, steps: childSteps };
  child.kill("SIGKILL"); // its owner would never learn of it
  child.waitSync();
  throw lost;
}

/** @see {@link https://man7.org/linux/man-pages/man7/pid_namespaces.7.html} for what ENOMEM means, other than memory. */
function describeClone(errno: number, { flags = [], pidNamespace }: StartOptions): string | undefined {
  const isDead = pidNamespace !== undefined && errno === ERRNO.ENOMEM;
  const words = [...flags, ...(isDead ? ["in a pid namespace whose first process has ended"] : [])];
  return words.length === 0 ? undefined : words.join(" ");
}

function systemCall(name: SyscallName, args: Step["args"], options: CallOptions = {}): Step {
  return { number: syscallNumber(name), args, label: options.label ?? name, options };
}

/** Before anything else: CLONE_CLEAR_SIGHAND has left only what was ignored. */
function resetSignals(memory: ProgramMemory): Step[] {
  const defaultAction = memory.allocate(32).address;
  const emptySet = memory.allocate(SIGSET_SIZE).address;
  return [
    ...PERHAPS_IGNORED.map((signal) => systemCall("rt_sigaction", [signal, defaultAction, 0, SIGSET_SIZE])),
    systemCall("rt_sigprocmask", [SIG_SETMASK, emptySet, 0, SIGSET_SIZE]),
  ];
}

interface Surroundings extends Disposable {
  readonly before: readonly Step[];
  readonly after: readonly Step[];
  /** Why this thread is not where it was; undefined if it is. To be asked before the memory goes. */
  failure(): ErrnoError | undefined;
}

/** What the parent's thread does right before and after clone3, with no JavaScript between that could fail. */
function surroundings(memory: ProgramMemory, { pidNamespace }: StartOptions): Surroundings {
  const all = memory.allocate(SIGSET_SIZE);
  all.view.setBigUint64(0, SIG_BLOCK_ALL, LITTLE_ENDIAN);
  const old = memory.allocate(SIGSET_SIZE).address;
  const block = systemCall("rt_sigprocmask", [SIG_SETMASK, all.address, old, SIGSET_SIZE]);
  const unblock = systemCall("rt_sigprocmask", [SIG_SETMASK, old, 0, SIGSET_SIZE], { ignore: "all" });
  if (pidNamespace === undefined) {
    return { before: [block], after: [unblock], failure: () => undefined, [Symbol.dispose]() {} };
  }
  const own = Fd.open("/proc/thread-self/ns/pid_for_children", O_RDONLY);
  const { newpid } = NEW_NAMESPACE;
  const restored = new Slot(memory.allocate(8));
  return {
    before: [block, systemCall("setns", [pidNamespace.number, newpid], { label: "setns pid" })],
    after: [systemCall("setns", [own.number, newpid], { ignore: "all", result: restored }), unblock],
    failure() {
      const { value } = restored;
      return value < 0 ? new ErrnoError("setns", -value, "back to our own pid namespace") : undefined;
    },
    [Symbol.dispose]: () => own[Symbol.dispose](),
  };
}

const CLONE_ARGS_SIZE = 88;
const STACK_SIZE = 4096;

/** struct clone_args */
function cloneArgs(memory: ProgramMemory, header: Piece, options: StartOptions): number {
  const { address, view } = memory.allocate(CLONE_ARGS_SIZE);
  const { flags: namespaces = [], vfork = false, intoCgroup } = options;
  let flags = CLONE_PIDFD | CLONE_CHILD_CLEARTID | CLONE_CLEAR_SIGHAND;
  if (!memory.isApart) flags |= CLONE_VM;
  for (const name of namespaces) flags |= BigInt(NEW_NAMESPACE[name]);
  if (vfork) flags |= CLONE_VFORK;
  if (intoCgroup !== undefined) flags |= CLONE_INTO_CGROUP;
  const fields = {
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
  Object.values(fields).forEach((value, index) => setWord(view, 8 * index, value));
  return address;
}

/** Out of the way of the numbers that steps give to their own descriptors. */
const HIGH_NUMBER = 1000;

interface ExecutionPipe extends Disposable {
  /** Move the child's end out of the way. */
  readonly childSteps: readonly Step[];
  /** Once the child has its end: closes ours. @returns The end to read. */
  take(): Fd;
}

/** A pipe that ends when the child executes or exits: only the child holds its close-on-exec writing end. */
function executionPipe(): ExecutionPipe {
  const F_DUPFD_CLOEXEC = 1030;
  const { read, write } = pipe();
  const { number } = write;
  return {
    // In the child, as a process with threads waits 10 ms for the kernel to grow its table of descriptors. RLIMIT_NOFILE
    // may be below: then some number is better than no child.
    childSteps: [
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
