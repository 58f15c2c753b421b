/** Words for an agent that is silent, or gone: its VM says more about that than the connection. @module */
import { abortable } from "../../base/async.ts";
import { errorChain, KataError } from "../../base/error.ts";
import type { Hypervisor, VmExit } from "../../hypervisor/hypervisor.ts";

/** Lines of the guest's console in a message. */
const CONSOLE_LINES = 5;
/** How long after its agent's connection a VM may end. */
export const VM_END_MS = 2_000;

/** The part of a VM that reaching its agent needs. */
export type AgentHost = Pick<
  Hypervisor,
  "agentAddress" | "agentKey" | "consoleTail" | "diagnose" | "info" | "name" | "wait"
>;

/** Explains why an agent did not answer in time: the state of its VM says more than the deadline. */
export async function explainSilence(
  vm: AgentHost,
  { what, waitedMs, cause }: { what: string; waitedMs: number; cause: unknown },
): Promise<KataError> {
  const waited = `waited ${(waitedMs / 1000).toFixed(1)} s`;
  const monitor = await vm.info().then(
    async ({ pid }) => {
      const known = await vm.diagnose?.().catch(errorChain);
      return `${vm.name} is alive${pid === undefined ? "" : ` (pid ${pid})`}${known === undefined ? "" : `, ${known}`}`;
    },
    (error) => `the VMM is gone (${errorChain(error)})`,
  );
  return new KataError("DEADLINE_EXCEEDED", `${what}: ${waited}, ${monitor}, ${lastWords(vm)}`, { cause });
}

/** Why a VM ended that was to run on. An end that the guest chose tells no words of its own, so the console's follow. */
export function reasonOfEnd({ expected, reason }: VmExit, vm: Pick<Hypervisor, "consoleTail">): string {
  return expected ? `${reason}, ${lastWords(vm)}` : reason;
}

export interface ExplainEndOptions {
  vm: Pick<Hypervisor, "consoleTail" | "name" | "wait">;
  /** Resolves when the connection has ended. */
  closed: Promise<void>;
}

/**
 * Makes what tells of a call that failed because the connection ended why the VM did: that shows in the connection first,
 * but only the VM knows the reason. Other failures stay as they are.
 */
export function endExplainer({ vm, closed }: ExplainEndOptions): (error: KataError) => Promise<KataError> {
  let isClosed = false;
  void closed.then(() => isClosed = true);
  return async (error) => {
    if (error.code !== "UNAVAILABLE") return error;
    // The call may hear of the end before we do.
    await new Promise((resolve) => setTimeout(resolve, 0));
    if (!isClosed) return error;
    const end = await abortable(vm.wait(), AbortSignal.timeout(VM_END_MS)).catch(() => undefined);
    const known = end === undefined ? `${vm.name} is alive, ${lastWords(vm)}` : `the VM ended: ${reasonOfEnd(end, vm)}`;
    return new KataError(error.code, `${error.message}; ${known}`, { cause: error.cause });
  };
}

function lastWords(vm: Pick<Hypervisor, "consoleTail">): string {
  const lines = vm.consoleTail(CONSOLE_LINES);
  return lines.length === 0 ? "the console is empty" : `last console lines: ${lines.join(" | ")}`;
}
