/**
 * Programs that the configuration wants run at six moments of a container's life.
 *
 * @see https://github.com/opencontainers/runtime-spec/blob/v1.2.0/config.md#posix-platform-hooks
 * @module
 */
import { type Child, exitCode } from "../linux/child.ts";
import { type Fd, memfd } from "../linux/fd.ts";
import { NAMESPACES, openNamespace } from "../linux/namespace.ts";
import { bearHeir, changeIds, placeDescriptors } from "../linux/steps.ts";
import { SyscallProgram } from "../linux/syscall_program.ts";
import { maySetGroups } from "./idmap.ts";
import { NAMESPACE_KINDS, needsHeir } from "./namespaces.ts";
import type { Hook, Hooks, NamespaceType } from "./spec.ts";
import type { OciState } from "./state.ts";

export type HookKind = keyof Hooks;

/** The container that a hook runs in, for the kinds that do. */
export interface HookPlace {
  pid: number;
  pidfd: Fd;
  /** Kinds in which it differs from us. */
  namespaces: readonly NamespaceType[];
}

export interface RunHooksOptions {
  /** What each hook reads on its standard input. */
  state: OciState;
  /** Run inside the container, whose file system then has the hook's program, instead of beside it. */
  inside?: HookPlace;
}

/**
 * Runs hooks one after the other.
 *
 * @throws {Error} The first that fails, with what it printed; those after it do not run.
 */
export async function runHooks(kind: HookKind, hooks: Hooks | undefined, options: RunHooksOptions): Promise<void> {
  for (const [index, hook] of (hooks?.[kind] ?? []).entries()) {
    try {
      await runHook(hook, options);
    } catch (cause) {
      throw new Error(`Cannot run ${kind} hook ${index}, "${hook.path}"`, { cause });
    }
  }
}

async function runHook(hook: Hook, options: RunHooksOptions): Promise<void> {
  using output = memfd("hook-output");
  await using child = startHook(hook, { ...options, output });
  await child.executed();
  await using running = needsHeir(options.inside?.namespaces ?? []) ? child.inherit() : child;
  const status = await running.wait(hook.timeout ? { signal: AbortSignal.timeout(hook.timeout * 1000) } : {});
  const code = exitCode(status);
  if (code === 0) return;
  const printed = Deno.readTextFileSync(`/proc/self/fd/${output.number}`).trim();
  throw new Error(`it ended with status ${code}${printed === "" ? "" : `, saying: ${printed.slice(0, 4096)}`}`);
}

function startHook(hook: Hook, { state, inside, output }: RunHooksOptions & { output: Fd }): Child {
  using undo = new DisposableStack();
  using input = memfd("hook-state", new TextEncoder().encode(JSON.stringify(state)));
  const program = undo.use(new SyscallProgram());
  const joined = inside?.namespaces ?? [];
  const bearsHeir = needsHeir(joined);
  const inner = joined.filter((type) => type !== "pid" || bearsHeir);
  const flags = inner.reduce((sum, type) => sum | NAMESPACES[NAMESPACE_KINDS[type]], 0);
  if (inside !== undefined && flags !== 0) {
    program.call("setns", [inside.pidfd.number, flags], { label: "join namespaces" });
  } else program.call("chdir", [state.bundle]);
  const heir = bearsHeir ? bearHeir(program) : undefined;
  if (inside !== undefined && inner.includes("user")) {
    changeIds(program, { uid: 0, gid: 0, ...(maySetGroups(inside.pid) && { groups: [] }) });
  }
  placeDescriptors(program, [{ child: 0, fd: input }, { child: 1, fd: output }, { child: 2, fd: output }]);
  program.execve([hook.path], { args: hook.args ?? [hook.path], env: hook.env ?? [] });
  const isBornInside = joined.includes("pid") && !bearsHeir;
  const pidNamespace = isBornInside ? undo.use(openNamespace("pid", inside?.pid)) : undefined;
  undo.move();
  using _ = pidNamespace ?? new DisposableStack();
  return program.start({ ...(pidNamespace && { pidNamespace }), heir });
}
