/**
 * The machine of a template. Only devices whose state QEMU can save are in it, and none that belongs to one sandbox: the
 * agent is reached over a serial port, and root ports are free for the shared directory and the network cards.
 *
 * @module
 */
import { VERSION } from "../../base/version.ts";
import type { Config } from "../../config/schema.ts";
import type { Fd } from "../../linux/io/fd.ts";
import { cpuFlags } from "../../linux/device/kvm.ts";
import type { AgentChannel } from "../common/agent_channel.ts";
import type { Device } from "../device.ts";
import type { HypervisorOptions } from "../hypervisor.ts";
import { stampFile, type TemplateIdentity } from "../template.ts";
import { qemuArgs } from "./args.ts";
import { chooseAccelerator, findFirmware, isBlockDevice } from "./host.ts";
import { type Plan, planMachine } from "./plan.ts";

/** Besides those of the configuration, which stay free for what comes later: for a shared directory and three cards. */
const PORTS = 4;

export type TemplateOptions = Pick<HypervisorOptions, "id" | "runDir" | "kernelParams"> & { config: Config };

export interface MemoryOptions {
  memoryFile: string | (() => Fd);
  /** The machine waits for a template's state. */
  incoming?: boolean;
}

/** The channel that survives a template. */
export function serialChannel(runDir: string): Extract<AgentChannel, { kind: "virtio-serial" }> {
  return { kind: "virtio-serial", socket: `${runDir}/agent.sock` };
}

/** A template's machine, or that of a clone before anything is plugged into it. */
export function planTemplate(options: TemplateOptions, { memoryFile, incoming }: MemoryOptions): Plan {
  const { config, id, runDir, kernelParams = [] } = options;
  return planMachine({
    ...{ id, config, runDir, kernelParams, memoryFile, incoming },
    accelerator: chooseAccelerator(config),
    firmware: findFirmware(config),
    devices: [],
    channel: serialChannel(runDir),
    rootPorts: config.hypervisor.pcie_root_port + PORTS,
    isHostDevice: isBlockDevice,
  });
}

/** Identity of a template for this machine. @param config With sizes resolved, as `checkConfig` returns it. */
export function templateIdentity(
  { config, kernelParams = [] }: Pick<TemplateOptions, "config" | "kernelParams">,
): TemplateIdentity {
  const options = { config, kernelParams, id: "template", runDir: "/run" };
  const { machine } = planTemplate(options, { memoryFile: "memory" });
  const { path, kernel, initrd, image } = config.hypervisor;
  const files = { emulator: path, kernel, initrd, image, firmware: machine.firmware };
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
export function whyNoTemplate({ hypervisor }: Config, devices: readonly Device[] = []): string | undefined {
  const { agent_transport, enable_hugepages, enable_mem_prealloc, pcie_root_port } = hypervisor;
  if (!["auto", "virtio-serial"].includes(agent_transport)) {
    return `agent_transport "${agent_transport}" cannot be saved; "auto" and "virtio-serial" can`;
  }
  if (enable_hugepages) return "enable_hugepages takes memory that a template cannot be copied into";
  if (enable_mem_prealloc) return "enable_mem_prealloc allocates what a template leaves unused";
  if (devices.length > pcie_root_port + PORTS) return `${devices.length} devices need more root ports than it has`;
  return undefined;
}
