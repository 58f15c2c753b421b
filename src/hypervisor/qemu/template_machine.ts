/**
 * The machine of a template. Only devices whose state QEMU can save are in it, and none that belongs to one sandbox: the
 * agent is reached over a serial port, and root ports are free for the shared directory and the network cards.
 *
 * @module
 */
import { emulatorOf } from "../../config/emulator.ts";
import { VERSION } from "../../base/version.ts";
import type { Fd } from "../../linux/io/fd.ts";
import { cpuFlags } from "../../linux/device/kvm.ts";
import type { AgentChannel } from "../common/agent_channel.ts";
import { isBlockDevice } from "../common/disks.ts";
import { LATE_CARD_PORTS } from "../common/topology.ts";
import { vmFiles } from "../common/vm_files.ts";

import type { HypervisorOptions } from "../hypervisor.ts";
import { stampFile, type TemplateIdentity } from "../template.ts";
import type { QemuTable, VmConfig } from "../vm_config.ts";
import { qemuArgs } from "./args.ts";
import { chooseAccelerator } from "./host.ts";
import { findFirmware } from "./machine_kinds.ts";
import { type Plan, planMachine } from "./plan.ts";

/** Besides those of the configuration, which stay free for what comes later: for a shared directory and cards. */
const PORTS = 1 + LATE_CARD_PORTS;

export interface TemplateOptions extends Pick<HypervisorOptions, "id" | "runDir"> {
  config: QemuTable;
  vm: VmConfig;
  clockParams?: readonly string[];
}

export interface MemoryOptions {
  memoryFile: string | (() => Fd);
  /** The machine waits for a template's state. */
  incoming?: boolean;
}

/** The channel that survives a template. */
export function serialChannel(runDir: string): Extract<AgentChannel, { kind: "virtio-serial" }> {
  return { kind: "virtio-serial", socket: vmFiles(runDir).agent };
}

/** A template's machine, or that of a clone before anything is plugged into it. */
export function planTemplate(options: TemplateOptions, { memoryFile, incoming }: MemoryOptions): Plan {
  const { config, vm } = options;
  return planMachine({
    ...{ ...options, memoryFile, incoming },
    vm: { ...vm, devices: [] },
    accelerator: chooseAccelerator(config),
    firmware: findFirmware(config, emulatorOf(config)),
    channel: serialChannel(options.runDir),
    rootPorts: config.pcie_root_port + PORTS,
    isHostDevice: isBlockDevice,
  });
}

/** Identity of a template for this machine. */
export function templateIdentity(config: QemuTable, vm: VmConfig): TemplateIdentity {
  const { machine } = planTemplate({ config, vm, id: "template", runDir: "/run" }, { memoryFile: "memory" });
  const { kernel, initrd = "", image } = vm;
  const files = { emulator: emulatorOf(config), kernel, initrd, image: image?.path ?? "", firmware: machine.firmware };
  return {
    program: VERSION,
    files: Object.fromEntries(Object.entries(files).map(([role, file]) => [role, stampFile(file)])),
    processor: hostProcessor(machine.accelerator),
    memoryMiB: machine.memory.sizeMiB,
    vcpus: machine.vcpus.count,
    arguments: qemuArgs(machine),
  };
}

/** An emulated guest has the rate of its host's counter; one on KVM has also seen what the processor can do. */
function hostProcessor(accelerator: "kvm" | "tcg"): string {
  const text = Deno.readTextFileSync("/proc/cpuinfo");
  const model = /^model name\s*:\s*(.*)$/m.exec(text)?.[1] ?? "unknown";
  return accelerator === "tcg" ? `emulated on ${model}` : `${model}: ${cpuFlags(text).join(" ")}`;
}

/** Why a machine like this can have no template, or undefined. */
export function whyNoTemplate(config: QemuTable, { devices }: Pick<VmConfig, "devices">): string | undefined {
  const { agent_transport, enable_hugepages, enable_mem_prealloc, pcie_root_port } = config;
  if (!["auto", "virtio-serial"].includes(agent_transport)) {
    return `agent_transport "${agent_transport}" cannot be saved; "auto" and "virtio-serial" can`;
  }
  if (enable_hugepages) return "enable_hugepages takes memory that a template cannot be copied into";
  if (enable_mem_prealloc) return "enable_mem_prealloc allocates what a template leaves unused";
  if (devices.length > pcie_root_port + PORTS) return `${devices.length} devices need more root ports than it has`;
  return undefined;
}
