/** Chooses what the configuration leaves open about a VM's use of the host. @module */
import { exists } from "../../base/files.ts";
import type { Logger } from "../../base/log.ts";
import { probeKvm } from "../../linux/device/kvm.ts";
import type { QemuTable } from "../vm_config.ts";

export type Accelerator = "kvm" | "tcg";

/** @throws {Error} KVM was asked for by name and cannot be used. */
export function chooseAccelerator(
  { accelerator: wanted }: Pick<QemuTable, "accelerator">,
  { log }: { log?: Logger | undefined } = {},
): Accelerator {
  if (wanted === "tcg") return "tcg";
  const kvm = probeKvm();
  if (kvm.usable) return "kvm";
  if (wanted === "kvm") throw new Error(`Cannot use accelerator "kvm": ${kvm.reason}`);
  log?.info("Using software emulation (TCG)", { reason: kvm.reason });
  return "tcg";
}

/** qboot starts a kernel without looking for disks and boot ROMs; QEMU brings it beside its other firmware. */
export function findFirmware({ firmware, path }: Pick<QemuTable, "firmware" | "path">): string {
  if (firmware !== "") return firmware;
  const prefix = path.replace(/\/bin\/[^/]*$/, "");
  const candidates = [`${prefix}/share/qemu/qboot.rom`, "/usr/share/qemu/qboot.rom"];
  return candidates.find(exists) ?? "";
}
