/**
 * Programs that the configuration wants run at six moments of a container's life.
 *
 * @see https://github.com/opencontainers/runtime-spec/blob/v1.2.0/config.md#posix-platform-hooks
 * @module
 */
import { timeoutSignal } from "../../base/clock.ts";
import { errorChain } from "../../base/error.ts";
import type { Logger } from "../../base/log.ts";
import type { Child } from "../../linux/child_program/child.ts";
import { exitCode, type ExitStatus } from "../../linux/process/wait.ts";
import { Fd, memfd, O_RDONLY, pathOf } from "../../linux/io/fd.ts";
import { NAMESPACES } from "../../linux/process/namespace_kinds.ts";
import { callersEnvironment } from "../../linux/process/environment.ts";
import { arrangeDescriptors, changeIds, forkStage2 } from "../../linux/child_program/calls.ts";
import { SyscallProgram } from "../../linux/child_program/program.ts";
import { maySetGroups } from "../mount/idmap.ts";
import { NAMESPACE_KINDS } from "../init/namespaces.ts";
import type { Hook, Hooks, NamespaceType } from "../spec/spec.ts";
import type { OciState } from "../container/state.ts";

export type HookKind = keyof Hooks;

/** The container that a hook runs in, for the kinds that do. */
export interface HookContainer {
  pid: number;
  pidfd: Fd;
  /** Kinds in which it differs from us. */
  namespaces: readonly NamespaceType[];
  /** Where it starts. */
  cwd: string;
}

export interface RunHooksOptions {
  /** Written as JSON to the standard input of each hook. */
  state: OciState;
  /** Run inside the container, whose namespaces the hook's program then sees, instead of beside it. */
  inside?: HookContainer;
  /** Starts a hook in another way. */
  start?: HookStarter;
}

/** A hook that runs its program. Disposing ends it. */
export interface RunningHook extends AsyncDisposable {
  wait(options: { signal?: AbortSignal }): Promise<ExitStatus>;
}

/** The state as a file, and a file for what it prints. */
export type HookStdio = Record<"stdin" | "stdout" | "stderr", Fd>;

export type HookStarter = (hook: Hook, stdio: HookStdio) => Promise<RunningHook>;

/**
 * Runs hooks one after the other.
 *
 * @throws {Error} The first that fails, with what it printed; those after it do not run.
 */
export async function runHooks(kind: HookKind, hooks: Hooks | undefined, options: RunHooksOptions): Promise<void> {
  for (const [index, hook] of (hooks?.[kind] ?? []).entries()) await runNamed({ kind, index }, hook, options);
}

/**
 * Runs the hooks at a container's end, which nothing can stop any more: the specification wants a warning for each that
 * fails, and those after it run all the same.
 */
export async function runPoststopHooks(
  hooks: Hooks | undefined,
  { state, log }: { state: OciState; log: Logger | undefined },
): Promise<void> {
  for (const [index, hook] of (hooks?.poststop ?? []).entries()) {
    try {
      await runNamed({ kind: "poststop", index }, hook, { state });
    } catch (error) {
      log?.warning(errorChain(error), { container: state.id });
    }
  }
}

async function runNamed(
  { kind, index }: { kind: HookKind; index: number },
  hook: Hook,
  options: RunHooksOptions,
): Promise<void> {
  try {
    await runHook(hook, options);
  } catch (cause) {
    throw new Error(`Cannot run ${kind} hook ${index}, "${hook.path}"`, { cause });
  }
}

async function runHook(hook: Hook, options: RunHooksOptions): Promise<void> {
  using input = memfd("hook-state", new TextEncoder().encode(JSON.stringify(options.state)));
  using output = memfd("hook-output");
  const stdio = { stdin: input, stdout: output, stderr: output };
  await using running = await (options.start?.(hook, stdio) ?? startHook(hook, stdio, options));
  const status = await running.wait(hook.timeout ? { signal: timeoutSignal(hook.timeout * 1000) } : {});
  const code = exitCode(status);
  if (code === 0) return;
  const printed = readBeginning(output);
  throw new Error(`it ended with status ${code}${printed === "" ? "" : `, saying: ${printed}`}`);
}

/** A program of the image may print as much as it likes. */
function readBeginning(output: Fd): string {
  using file = Fd.open(pathOf(output), O_RDONLY);
  const bytes = new Uint8Array(4096);
  return new TextDecoder().decode(bytes.subarray(0, file.read(bytes))).trim();
}

/** Never none: some programs go by the first. */
export function hookArgs({ path, args = [] }: Hook): readonly string[] {
  return args.length > 0 ? args : [path];
}

async function startHook(hook: Hook, stdio: HookStdio, options: RunHooksOptions): Promise<RunningHook> {
  await using undo = new AsyncDisposableStack();
  const child = undo.use(forkHook(hook, stdio, options));
  await child.executed();
  const running = options.inside?.namespaces.includes("pid") ? undo.use(child.inherit()) : child;
  undo.move();
  return running;
}

function forkHook(hook: Hook, { stdin, stdout, stderr }: HookStdio, { state, inside }: RunHooksOptions): Child {
  const keeps = inside === undefined ? [] : [stdin, stdout, stderr, inside.pidfd].map(({ number }) => number);
  using program = new SyscallProgram(inside === undefined ? {} : { apart: { keeps } });
  const joined = inside?.namespaces ?? [];
  const flags = joined.reduce((sum, type) => sum | NAMESPACES[NAMESPACE_KINDS[type]], 0);
  if (inside !== undefined && flags !== 0) {
    program.call("setns", [inside.pidfd.number, flags], { label: "join namespaces" });
  }
  program.call("chdir", [inside?.cwd ?? state.bundle]);
  if (inside !== undefined && joined.includes("user")) {
    changeIds(program, { uid: 0, gid: 0, ...(maySetGroups(inside.pid) && { groups: [] }) });
  }
  arrangeDescriptors(program, [{ child: 0, fd: stdin }, { child: 1, fd: stdout }, { child: 2, fd: stderr }]);
  // Forked as stage 2, so that processes in the pid namespace see the hook's program only, never the steps before it.
  const stage2 = joined.includes("pid") ? forkStage2(program) : undefined;
  program.execve([hook.path], { args: hookArgs(hook), env: hook.env ?? callersEnvironment() });
  return program.start({ stage2 });
}
