/**
 * Sequences of system calls in a child: write files, pass messages over pipes, put descriptors in place.
 *
 * @module
 */
import { ERRNO, ErrnoError } from "../ffi/errno.ts";
import { AT_FDCWD, F_DUPFD_CLOEXEC, type Fd, O_CLOEXEC, O_RDWR, O_WRONLY } from "../io/fd.ts";
import { LITTLE_ENDIAN } from "../ffi/libc.ts";
import { setWord } from "./memory.ts";
import { SIGNALS } from "../process/signal.ts";
import type { CallOptions, Slot } from "./call.ts";
import type { SyscallProgram } from "./program.ts";

const encoder = new TextEncoder();

/** The part of the options that makes sense for several steps as one. */
export type JointOptions = Pick<CallOptions, "label" | "ignore" | "explain">;

/**
 * Writes a file that exists, by one write(2), as `/proc` and `/sys` want it.
 *
 * @param options An ignored failure to open leaves the rest out.
 */
export function writeFile(program: SyscallProgram, path: string, options: JointOptions & { content: string }): void {
  const { content, ...joint } = options;
  const named = { label: `write ${path}`, ...joint };
  const fd = program.slot();
  const bytes = encoder.encode(content);
  program.call("openat", [AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0], { ...named, result: fd, skipIfIgnored: 2 });
  program.call("write", [fd, bytes, bytes.length], named);
  program.call("close", [fd], { ignore: "all" });
}

/** Reports over a pipe or socket how far the child has come. */
export function report(program: SyscallProgram, fd: number | Slot, options: { message: string; label?: string }): void {
  const bytes = encoder.encode(options.message);
  program.call("write", [fd, bytes, bytes.length], { label: options.label ?? `report "${options.message}"` });
}

/** Waits for one byte. If all writers go away first, the child fails with EPIPE instead of living on alone. */
export function awaitByte(program: SyscallProgram, fd: number | Slot, options: { label: string }): void {
  program.call("read", [fd, program.allocate(8).address, 1], { label: options.label, zeroFails: true });
}

/** A descriptor of ours, and the number that the child shall have it by. */
export interface ChildFd {
  child: number;
  fd: Fd | number | Slot;
}

const CLOSE_RANGE_CLOEXEC = 4;
const UINT_MAX = 0xffff_ffff;

/**
 * Gives the child exactly these descriptors after its execve: all others are marked close-on-exec. The steps that
 * follow may still use the others, as long as their number is not among the new ones.
 */
export function arrangeDescriptors(program: SyscallProgram, fds: readonly ChildFd[]): void {
  const wanted = fds.map(({ child }) => child).sort((a, b) => a - b);
  const free = (wanted.at(-1) ?? -1) + 1;
  // Sources first move out of the way, or setting one could overwrite the next.
  const sources = fds.map(({ child, fd }) => {
    const source = program.slot();
    const number = typeof fd === "object" && "number" in fd ? fd.number : fd;
    program.call("fcntl", [number, F_DUPFD_CLOEXEC, free], { label: `duplicate fd ${child}`, result: source });
    return { child, source };
  });
  for (const { child, source } of sources) program.call("dup3", [source, child, 0], { label: `set fd ${child}` });
  let next = 0;
  for (const child of [...wanted, UINT_MAX + 1]) {
    if (child > next) closeOnExec(program, { first: next, last: child - 1 });
    next = child + 1;
  }
}

function closeOnExec(program: SyscallProgram, { first, last }: { first: number; last: number }): void {
  program.call("close_range", [first, last, CLOSE_RANGE_CLOEXEC], { label: "close other fds" });
}

/** Opens `/dev/null` for whichever of stdin, stdout and stderr is missing. */
export function nullForMissing(program: SyscallProgram, fds: readonly ChildFd[]): ChildFd[] {
  const missing = [0, 1, 2].filter((number) => !fds.some(({ child }) => child === number));
  if (missing.length === 0) return [];
  const fd = program.slot();
  program.call("openat", [AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC, 0], { label: "open /dev/null", result: fd });
  return missing.map((child) => ({ child, fd }));
}

const PR_SET_PDEATHSIG = 1;

/**
 * Ends the child when the thread that started it ends. A change of user ids clears it, so it comes after; and the
 * kernel sends it by thread: start such a child from the main thread.
 */
export function dieWithParent(program: SyscallProgram, signal: keyof typeof SIGNALS = "SIGKILL"): void {
  program.call("prctl", [PR_SET_PDEATHSIG, SIGNALS[signal]], { label: "prctl PR_SET_PDEATHSIG" });
}

/** User, group and supplementary groups, in the order that keeps the right to change the next. */
export function changeIds(
  program: SyscallProgram,
  ids: { uid?: number; gid?: number; groups?: readonly number[] },
): void {
  const { uid, gid, groups } = ids;
  if (groups !== undefined) {
    program.call("setgroups", [groups.length, new Uint8Array(Uint32Array.from(groups).buffer)]);
  }
  if (gid !== undefined) program.call("setresgid", [gid, gid, gid], { label: `setresgid ${gid}` });
  if (uid !== undefined) program.call("setresuid", [uid, uid, uid], { label: `setresuid ${uid}` });
}

/** `NAME=value` for each. @throws {TypeError} A name holds `=`, or is empty. */
export function environment(env: Readonly<Record<string, string>>): string[] {
  return Object.entries(env).map(([name, value]) => {
    if (name === "" || name.includes("=")) throw new TypeError(`Cannot set environment variable "${name}"`);
    return `${name}=${value}`;
  });
}

/** Where execvp(3) would look: the path itself if it holds a slash, else each directory of PATH; nowhere without one. */
export function execCandidates(path: string, searchPath = ""): string[] {
  if (path.includes("/")) return [path];
  if (path === "" || searchPath === "") return [];
  return searchPath.split(":").map((directory) => `${directory === "" ? "." : directory}/${path}`);
}

/** A message that passes a descriptor on. */
export interface DescriptorMessage {
  /** Where an earlier step stores its number. */
  readonly fd: Slot;
  /** Adds the step that sends it over a unix socket. */
  send(socket: number, options: CallOptions): void;
  /** Adds the step that takes it from one; nobody at the other end is a failure. */
  receive(socket: Slot, label: string): void;
}

const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;

/** @see https://man7.org/linux/man-pages/man7/unix.7.html */
export function descriptorMessage(program: SyscallProgram): DescriptorMessage {
  const [MSGHDR, IOVEC, CMSG_HEADER, CMSG_SPACE] = [56, 16, 16, 24];
  const piece = program.allocate(MSGHDR + IOVEC + CMSG_SPACE + 1);
  const { address, view } = piece;
  const [iovec, control] = [MSGHDR, MSGHDR + IOVEC];
  setWord(view, 16, address + iovec); // msg_iov
  setWord(view, 24, 1); // msg_iovlen
  setWord(view, 32, address + control); // msg_control
  setWord(view, 40, CMSG_SPACE); // msg_controllen
  setWord(view, iovec, address + control + CMSG_SPACE); // iov_base
  setWord(view, iovec + 8, 1); // iov_len
  setWord(view, control, CMSG_HEADER + 4); // cmsg_len
  view.setInt32(control + 8, SOL_SOCKET, LITTLE_ENDIAN);
  view.setInt32(control + 12, SCM_RIGHTS, LITTLE_ENDIAN);
  return {
    fd: program.slot({ piece, offset: control + CMSG_HEADER }),
    send: (socket, options) => void program.call("sendmsg", [socket, address, 0], options),
    receive(socket, label) {
      const MSG_CMSG_CLOEXEC = 0x40000000;
      program.call("recvmsg", [socket, address, MSG_CMSG_CLOEXEC], { label, zeroFails: true });
    },
  };
}

/** A new process' parent is that of the caller, not the caller. */
export const CLONE_PARENT = 0x8000;
/** Has the tracer of the caller trace the new process as well: see `suspended_filter.ts`. */
export const CLONE_PTRACE = 0x2000;
const CLONE_PARENT_SETTID = 0x100000;
const CLONE_ARGS_SIZE = 88;
/** Clone flags of a stage-2 child. */
export const STAGE2_FLAGS = CLONE_PARENT | CLONE_PARENT_SETTID;
/** Filters of system calls often forbid the newer one, whose arguments they cannot see. */
export type ForkCall = "clone" | "clone3";

export interface CloneOptions {
  /** CLONE flags. */
  flags?: number;
  /** Sent to the parent at its end; none without it, which CLONE_PARENT wants. */
  exitSignal?: number;
  /** Where the pid goes, with CLONE_PARENT_SETTID. */
  pid?: Slot;
}

/** Lays out the arguments of a step's clone3(2): the address of a struct clone_args, and its size. */
export function cloneArguments(
  program: SyscallProgram,
  { flags = 0, exitSignal = 0, pid }: CloneOptions,
): readonly [address: number, size: number] {
  const { address, view } = program.allocate(CLONE_ARGS_SIZE);
  setWord(view, 0, flags);
  if (pid !== undefined) setWord(view, 24, pid.address); // parent_tid
  setWord(view, 32, exitSignal);
  return [address, CLONE_ARGS_SIZE];
}

/** @see {@link https://man7.org/linux/man-pages/man7/pid_namespaces.7.html} for what ENOMEM means, other than memory. */
function explainFork(failure: ErrnoError): Error {
  if (failure.code !== "ENOMEM") return failure;
  return new ErrnoError("clone3", ERRNO.ENOMEM, "in a pid namespace whose first process has ended");
}

export interface Stage2Options {
  /** Where its pid goes, if the child had started before: a told slot. */
  into?: Slot;
  /** CLONE_NEW flags of namespaces that clone makes for the child. */
  flags?: number;
  /** Default: `clone3`. */
  by?: ForkCall;
}

/**
 * Lets a child that is apart fork another, which goes on with the steps that follow in a copy of its memory, and is in
 * the pid namespace that the child has entered or made; the child itself ends. Give the slot to `start` as `stage2`, or
 * as `replacement` if the new process takes over before its execve.
 *
 * A child that enters a pid namespace stays outside, where nobody inside can see it: so what others see is only this.
 *
 * @returns Where the stage-2 child's pid will be.
 */
export function forkStage2(program: SyscallProgram, { flags = 0, into, by = "clone3" }: Stage2Options = {}): Slot {
  const pid = into ?? program.toldSlot();
  // In the stage-2 child the result is 0, which counts as a failure here: it passes over the child's end.
  const options = { zeroFails: true, ignore: ["EPIPE"], skipIfIgnored: 1, explain: explainFork } as const;
  if (by === "clone") program.call(by, [STAGE2_FLAGS | flags, 0, pid.address, 0, 0], options);
  else program.call(by, cloneArguments(program, { flags: STAGE2_FLAGS | flags, pid }), options);
  program.call("exit_group", [0]);
  return pid;
}
