/** Differences between the machines that QEMU makes: one for each architecture of a guest. @module */
import { exists } from "../../base/files.ts";
import type { QemuTable } from "../vm_config.ts";
import type { Props } from "./props.ts";

/** Architectures of guests, as Deno and QEMU name them. */
export type Architecture = typeof Deno.build.arch;

export interface MachineKind {
  /** Of the guest. */
  architecture: Architecture;
  /** Switches of `-machine`. */
  options: Props;
  /** Models of the processor: on KVM, and emulated; empty for QEMU's own. */
  cpu: { host: string; emulated: string };
  /** How the guest's kernel names the first serial port. */
  console: string;
  /** Firmware beside QEMU's own that boots faster; empty if none does. */
  firmware: string;
  /** How the guest gets a key that no others may see: among its firmware's strings, or as a file of QEMU's. */
  keys: "smbios" | "fw_cfg";
  /** Whether vCPUs and memory can be plugged. */
  grows: boolean;
}

/** Machines by their name in the configuration. */
const MACHINE_KINDS = {
  q35: {
    architecture: "x86_64",
    // Without legacy hardware a guest boots fastest; the first two also keep attack surface down.
    options: { smm: false, vmport: false, sata: false, hpet: false, usb: false },
    // A guest that could run machines of its own would reach much more of the host's KVM: cpu_features = "vmx=on" has it.
    // Under emulation the plain default model boots faster than those with more features.
    cpu: { host: "host,pmu=off,vmx=off,svm=off", emulated: "qemu64" },
    console: "ttyS0",
    firmware: "qboot.rom",
    keys: "smbios",
    grows: true,
  },
  virt: {
    architecture: "aarch64",
    options: { "gic-version": "max" },
    // Signing of pointers in the architecture's own way takes an emulator most of its time.
    cpu: { host: "host,pmu=off", emulated: "max,pauth-impdef=on" },
    console: "ttyAMA0",
    // The kernel is started without any: so there is no SMBIOS, and no ACPI that tells of what is plugged besides PCI.
    firmware: "",
    keys: "fw_cfg",
    grows: false,
  },
} as const satisfies Record<Exclude<QemuTable["machine_type"], "auto">, MachineKind>;

/** Name of the machine that a configuration means. */
export function machineType({ machine_type: type }: Pick<QemuTable, "machine_type">): keyof typeof MACHINE_KINDS {
  if (type !== "auto") return type;
  return Deno.build.arch === "aarch64" ? "virt" : "q35";
}

/** The machine that a configuration means. */
export function machineKind(config: Pick<QemuTable, "machine_type">): MachineKind {
  return MACHINE_KINDS[machineType(config)];
}

/** Firmware of the configuration, or the machine's own if QEMU brings it beside its other files; else empty. */
export function findFirmware(config: Pick<QemuTable, "firmware" | "machine_type">, emulator: string): string {
  const { firmware } = machineKind(config);
  if (config.firmware !== "" || firmware === "") return config.firmware;
  const prefix = emulator.replace(/\/bin\/[^/]*$/, "");
  const candidates = [`${prefix}/share/qemu/${firmware}`, `/usr/share/qemu/${firmware}`];
  return candidates.find(exists) ?? "";
}
