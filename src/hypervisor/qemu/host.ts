/** Use that a VM makes of the host's processor, where the configuration leaves it open. @module */
import type { Logger } from "../../base/log.ts";
import { probeKvm } from "../../linux/device/kvm.ts";
import type { QemuTable } from "../vm_config.ts";
import { machineKind } from "./machine_kinds.ts";

export type Accelerator = "kvm" | "tcg";

/** @throws {Error} KVM was asked for by name and cannot be used. */
export function chooseAccelerator(
  { accelerator: wanted, ...config }: Pick<QemuTable, "accelerator" | "machine_type">,
  { log }: { log?: Logger | undefined } = {},
): Accelerator {
  if (wanted === "tcg") return "tcg";
  const { architecture } = machineKind(config);
  const isForeign = architecture !== Deno.build.arch;
  const kvm = isForeign ? { usable: false, reason: `the machine is of ${architecture}` } as const : probeKvm();
  if (kvm.usable) return "kvm";
  if (wanted === "kvm") throw new Error(`Cannot use accelerator "kvm": ${kvm.reason}`);
  log?.info("Using software emulation (TCG)", { reason: kvm.reason });
  return "tcg";
}
