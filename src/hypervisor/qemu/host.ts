/** Chooses what the configuration leaves open about a VM's use of the host. @module */
import { exists } from "../../base/files.ts";
import type { Logger } from "../../base/log.ts";
import type { Config } from "../../config/schema.ts";
import { probeKvm } from "../../linux/device/kvm.ts";

/** @throws {Error} KVM was asked for by name and cannot be used. */
export function chooseAccelerator(
  { hypervisor }: Config,
  { log }: { log?: Logger | undefined } = {},
): "kvm" | "tcg" {
  if (hypervisor.accelerator === "tcg") return "tcg";
  const kvm = probeKvm();
  if (kvm.usable) return "kvm";
  if (hypervisor.accelerator === "kvm") throw new Error(`Cannot use accelerator "kvm": ${kvm.reason}`);
  log?.info("Using software emulation (TCG)", { reason: kvm.reason });
  return "tcg";
}

/** qboot starts a kernel without looking for disks and boot ROMs; QEMU brings it beside its other firmware. */
export function findFirmware({ hypervisor }: Config): string {
  if (hypervisor.firmware !== "") return hypervisor.firmware;
  const prefix = hypervisor.path.replace(/\/bin\/[^/]*$/, "");
  const candidates = [`${prefix}/share/qemu/qboot.rom`, "/usr/share/qemu/qboot.rom"];
  return candidates.find(exists) ?? "";
}

export function isBlockDevice(path: string): boolean {
  return Deno.statSync(path).isBlockDevice === true;
}
