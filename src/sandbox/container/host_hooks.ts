/**
 * Hooks that run on the host, at four moments of a container's life. Engines without CNI put interfaces into the VMM's
 * network namespace by them: the process that they are told of is the VMM.
 *
 * @module
 */
import type { Logger } from "../../base/log.ts";
import { type HookKind, runHooks, tryHooks } from "../../oci/hooks/hooks.ts";
import type { Hooks, Spec } from "../../oci/spec/spec.ts";
import type { OciState, Status } from "../../oci/container/state.ts";

/** Whose hooks they are. */
export interface HookSubject {
  id: string;
  bundle: string;
  spec: Spec;
}

const EARLY = ["prestart", "createRuntime"] as const satisfies readonly (keyof Hooks)[];

/**
 * Runs the hooks that come before a container is made.
 *
 * @param pid Of the VMM. @returns Whether there were any. @throws {Error} The first that fails, with its words.
 */
export async function runEarlyHooks(subject: HookSubject, pid: number): Promise<boolean> {
  const { hooks } = subject.spec;
  if (EARLY.every((kind) => hooks?.[kind] === undefined)) return false;
  const state = stateOf(subject, { status: "creating", pid });
  for (const kind of EARLY) await runHooks(kind, hooks, { state });
  return true;
}

/** The status of a container when its late hooks run. */
const LATE = { poststart: "running", poststop: "stopped" } as const satisfies Partial<Record<HookKind, Status>>;

/**
 * Runs the hooks after a container's start, or after its removal. Neither can be undone any more, so a hook that fails
 * is only logged.
 *
 * @param options.pid Of the VMM; 0 when it is gone.
 */
export async function runLateHooks(
  kind: keyof typeof LATE,
  subject: HookSubject,
  { pid, log }: { pid: number; log: Logger },
): Promise<void> {
  await tryHooks(kind, subject.spec.hooks, { state: stateOf(subject, { status: LATE[kind], pid }), log });
}

function stateOf({ id, bundle, spec }: HookSubject, state: Pick<OciState, "status" | "pid">): OciState {
  const { ociVersion, annotations = {} } = spec;
  return { ociVersion, id, ...state, bundle, annotations };
}
