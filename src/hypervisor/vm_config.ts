/**
 * Description of one VM: decided once, by the sandbox (`sandbox/machine/vm_config.ts`), and all that a monitor knows besides
 * its own table of the configuration. What a field means is the same for every monitor; how it comes about is the monitor's.
 *
 * @module
 */
import type { ConfigOf } from "../config/schema.ts";
import type { MonitorKind } from "../config/key.ts";
import type { SizeKeys } from "../config/sizes.ts";
import type { Fd } from "../linux/io/fd.ts";
import type { Device } from "./device.ts";

export interface VmConfig {
  /** The guest's kernel, a file of the host; empty only for a monitor that has guests of its own. */
  kernel: string;
  /** Root file system of the guest: its first disk, read-only. Without one the initrd is the whole guest. */
  image?: GuestImage;
  /** Early user space, a file of the host. */
  initrd?: string;
  kernelParams: KernelParams;
  size: MachineSize;
  /** Devices that are there from the start, in the order in which the guest numbers those of a kind. */
  devices: readonly Device[];
  agent: AgentWish;
  console: ConsoleWish;
  /** Network namespace to run the monitor in. */
  netns?: Fd;
  /** `cgroup.procs` files that the monitor and its daemons join; one per hierarchy on v1. */
  cgroupProcs?: readonly string[];
}

export interface GuestImage {
  path: string;
  /** File system: `erofs`. */
  fsType: string;
}

/** Words of the guest kernel's command line, besides those that each guest and each monitor needs. */
export interface KernelParams {
  /** The agent's options, such as `agent.log=debug`. */
  agent: readonly string[];
  /** The administrator's, as the configuration writes them: each beats all others of its name. */
  user: string;
}

/** A machine that cannot grow has the same size twice. */
export interface MachineSize {
  /** At the start; at least 1. */
  vcpus: number;
  maxVcpus: number;
  /** At the start. */
  memoryMiB: number;
  maxMemoryMiB: number;
}

/** Demands on the way to the agent; which way it is, the monitor chooses. */
export interface AgentWish {
  /** Whether the host has to prove that it is the host, where others could connect too. */
  hostProof: boolean;
}

export interface ConsoleWish {
  /** Verbose messages of the guest's kernel. */
  isVerbose: boolean;
  /** Whether a file of the run directory gets the output as well. */
  hasFile: boolean;
}

/** Keys of the configuration that a {@linkcode VmConfig} stands for. */
type Decided =
  | "kernel"
  | "image"
  | "initrd"
  | "rootfs_type"
  | "kernel_params"
  | keyof SizeKeys
  | "enable_debug"
  | "enable_annotations";

/** A monitor's table of the configuration, as the monitor sees it. */
export type MonitorTable<K extends MonitorKind> = Omit<ConfigOf<K>, Decided>;

/** `[hypervisor.qemu]` as QEMU's folder sees it. */
export type QemuTable = MonitorTable<"qemu">;
