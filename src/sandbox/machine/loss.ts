/** Telling that a step failed because its machine has ended, and why that was. @module */
import { abortable } from "../../base/async.ts";
import { errorChain, errorCode, KataError } from "../../base/error.ts";
import type { Hypervisor } from "../../hypervisor/hypervisor.ts";
import type { HostCgroups } from "../../resources/cgroup.ts";

/** How long after its agent's connection a VM may end, which alone can say why. */
export const VM_END_MS = 2_000;

export interface LossOptions {
  vm: Pick<Hypervisor, "wait">;
  /** Those that the machine is counted in. */
  cgroups: Pick<HostCgroups, "oomKills"> | undefined;
}

/**
 * Adds to the error of a step what became of its machine: the end of its connection is all that the step has seen.
 *
 * @returns The error itself if the machine runs on.
 */
export async function explainLoss(error: unknown, { vm, cgroups }: LossOptions): Promise<unknown> {
  const reason = errorCode(error) === "UNAVAILABLE" ? await endOf(vm) : undefined;
  const outOfMemory = oomWords(cgroups);
  const words = [reason, outOfMemory].filter((one) => one !== undefined && !errorChain(error).includes(one));
  if (words.length === 0) return error;
  return new KataError("UNAVAILABLE", `The virtual machine has ended: ${words.join("; ")}`, { cause: error });
}

/** What the groups of a machine tell of its end; undefined if that was not for want of memory. */
export function oomWords(cgroups: LossOptions["cgroups"]): string | undefined {
  const kills = cgroups?.oomKills() ?? 0n;
  if (kills === 0n) return undefined;
  const how = `the kernel has killed ${kills} of the processes in the pod's cgroup, whose memory ran out`;
  return `${how}: raise its limit, or the overhead of its RuntimeClass`;
}

/** @returns Undefined if it has not ended, or never began. */
async function endOf(vm: LossOptions["vm"]): Promise<string | undefined> {
  try {
    return (await abortable(vm.wait(), AbortSignal.timeout(VM_END_MS))).reason;
  } catch {
    return undefined;
  }
}
