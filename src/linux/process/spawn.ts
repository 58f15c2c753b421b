/**
 * Starting programs: VMM, virtiofsd, hooks, our own daemon, log binaries. Containers, which need more, write their own
 * {@linkcode SyscallProgram}.
 *
 * @module
 */
import type { Child } from "../child_program/child.ts";
import { exitCode } from "./wait.ts";
import { cgroupJoinTarget } from "../cgroup/cgroup.ts";
import type { NamespaceFlag } from "../child_program/start.ts";
import { Fd, memfd, O_DIRECTORY, O_PATH, pipe } from "../io/fd.ts";
import { readText } from "../io/fd_stream.ts";
import { dropBounding, giveUpCapabilities, lastCapability } from "../security/rights.ts";
import { MS } from "../mount/mount_options.ts";
import { NAMESPACES } from "./namespace_kinds.ts";
import type { SignalName } from "./signal.ts";
import {
  arrangeDescriptors,
  changeIds,
  type ChildFd,
  dieWithParent,
  environment,
  execCandidates,
  nullForMissing,
  writeFile,
} from "../child_program/calls.ts";
import { SyscallProgram } from "../child_program/program.ts";

export type { Child } from "../child_program/child.ts";
export type { ExitStatus } from "./wait.ts";
export { reapChildren } from "../child_program/child.ts";
export { exitCode };

export interface SpawnOptions {
  /** The program: a path, or a name to be found along `PATH` of `env`, or else of our own environment. */
  path: string;
  /** Arguments, the program's own name first. Default: only that. */
  args?: readonly string[];
  /** The whole environment. Default: ours. */
  env?: Readonly<Record<string, string>>;
  cwd?: string;
  /** Descriptors that the program inherits; 0, 1 and 2 are `/dev/null` unless given. The caller keeps its ends. */
  fds?: readonly { child: number; fd: Fd | number }[];
  /** Network namespace to run in: its file, open. */
  netns?: Fd;
  /** Files of cgroups to join: `cgroup.procs` of version 2, `tasks` of version 1, one a hierarchy. */
  cgroupProcs?: readonly string[];
  uid?: number;
  gid?: number;
  /** Supplementary groups; none are kept if `uid` is given. */
  groups?: readonly number[];
  /** `none`: the program has no capabilities and cannot get any, even as root. Default: ours. */
  rights?: "none";
  /** Lead a new session, without a terminal. */
  newSession?: boolean;
  /** Have a mount namespace of its own: ours do not see its mounts; it sees those that we make later if `slave`. */
  mountNamespace?: "private" | "slave";
  umask?: number;
  /** -1000 to 1000; lowering takes CAP_SYS_RESOURCE. */
  oomScoreAdj?: number;
  /** Sent to it when our main thread ends. */
  parentDeathSignal?: SignalName;
}

const PROPAGATION = { private: MS.PRIVATE, slave: MS.SLAVE } as const;

/**
 * Starts a program. The calling thread blocks until the program runs, a millisecond or so.
 *
 * @throws {Error} `Cannot start "/usr/bin/qemu"`, its cause names the step and the errno: `execve: ENOENT`.
 */
export function spawn(options: SpawnOptions): Child {
  const { path, mountNamespace, cgroupProcs = [] } = options;
  try {
    using program = new SyscallProgram();
    const { cloneInto, files } = cgroupJoinTarget(cgroupProcs);
    addSteps(program, { ...options, cgroupProcs: files });
    using intoCgroup = cloneInto === undefined ? undefined : Fd.open(cloneInto, O_PATH | O_DIRECTORY);
    const flags: NamespaceFlag[] = mountNamespace === undefined ? [] : ["newns"];
    const child = program.start({ vfork: true, flags, ...(intoCgroup && { intoCgroup }) });
    if (child.failure === undefined) return child;
    child.waitSync();
    throw child.failure;
  } catch (cause) {
    throw new Error(`Cannot start "${path}"`, { cause });
  }
}

function addSteps(program: SyscallProgram, options: SpawnOptions): void {
  const { path, args = [path], env = Deno.env.toObject(), cwd, fds = [], uid, rights, parentDeathSignal } = options;
  joinSurroundings(program, options);
  const all: ChildFd[] = [...fds, ...nullForMissing(program, fds)];
  arrangeDescriptors(program, all);
  if (cwd !== undefined) program.call("chdir", [cwd]);
  if (rights === "none") dropBounding(program, { kept: 0n, last: lastCapability() });
  changeIds(program, uid === undefined ? options : { groups: [], ...options });
  if (rights === "none") giveUpCapabilities(program);
  if (parentDeathSignal !== undefined) dieWithParent(program, parentDeathSignal);
  const candidates = execCandidates(path, env["PATH"] ?? Deno.env.get("PATH"));
  program.execve(candidates, { args, env: environment(env) });
}

function joinSurroundings(program: SyscallProgram, options: SpawnOptions): void {
  const { cgroupProcs = [], mountNamespace, netns, newSession, oomScoreAdj, umask } = options;
  if (newSession) program.call("setsid", []);
  if (mountNamespace !== undefined) {
    const flags = MS.REC | PROPAGATION[mountNamespace];
    program.call("mount", [null, "/", null, flags, null], { label: `make mounts ${mountNamespace}` });
  }
  for (const file of cgroupProcs) writeFile(program, file, { content: "0", label: `join ${file}` });
  if (oomScoreAdj !== undefined) writeFile(program, "/proc/self/oom_score_adj", { content: `${oomScoreAdj}` });
  if (netns !== undefined) program.call("setns", [netns.number, NAMESPACES.net], { label: "setns net" });
  if (umask !== undefined) program.call("umask", [umask]);
}

/** Exit code and output of a program that has ended. */
export interface Output {
  /** 128 + n if signal n ended it. */
  code: number;
  stdout: string;
  stderr: string;
}

interface CaptureOptions extends Pick<SpawnOptions, "env" | "cwd" | "netns"> {
  signal?: AbortSignal;
  input?: Uint8Array<ArrayBuffer> | undefined;
}

/**
 * Runs a short program to its end.
 *
 * @param args Without the program's own name.
 * @param options `signal` kills the program. `input` is what it reads; default: nothing.
 * @throws {Error} It cannot be started, or `signal` fired.
 */
export async function captureOutput(
  path: string,
  args: readonly string[],
  { signal, input, ...options }: CaptureOptions = {},
): Promise<Output> {
  signal?.throwIfAborted();
  using stdout = pipe();
  using stderr = pipe();
  using stdin = input && memfd("stdin", input);
  const fds = [
    { child: 1, fd: stdout.write },
    { child: 2, fd: stderr.write },
    ...(stdin ? [{ child: 0, fd: stdin }] : []),
  ];
  await using child = spawn({ path, args: [path, ...args], fds, ...options });
  stdout.write[Symbol.dispose]();
  stderr.write[Symbol.dispose]();
  // With one of its own, as these three wait at once: a program that stands still for one would never see the others.
  const waiting = { signal: signal ?? new AbortController().signal };
  const [out, errors, status] = await Promise.all([
    readText(stdout.read, waiting),
    readText(stderr.read, waiting),
    child.wait(waiting),
  ]);
  return { code: exitCode(status), stdout: out, stderr: errors };
}
