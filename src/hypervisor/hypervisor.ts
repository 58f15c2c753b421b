/**
 * A virtual machine monitor, as the sandbox uses it. This folder turns typed configuration into a command line or an API
 * call (pure), starts the process, and watches it; what is specific to one monitor lives in a folder of its name.
 *
 * @module
 */
import type { Logger } from "../base/log.ts";
import type { Fd } from "../linux/io/fd.ts";
import type { HostKey } from "../rpc/transport/host_key.ts";
import type { Device, GuestAddress } from "./device.ts";

/** Abilities of a monitor; a sandbox asks for them before it relies on one. */
export interface Capabilities {
  blockHotplug: boolean;
  netHotplug: boolean;
  shareFs: boolean;
  /** Disks that are put together from several files by a VMDK descriptor. */
  vmdk: boolean;
  vcpuHotplug: boolean;
  memoryHotplug: boolean;
}

/** The end of a VM. */
export interface VmExit {
  /** `true` if it was asked for, by `stop()` or by the guest powering off. */
  expected: boolean;
  /** One line: which process ended and how, and its last words. */
  reason: string;
}

export interface VmInfo {
  /** Name of the monitor: `qemu`. */
  name: string;
  /** The monitor's process. */
  pid: number;
  /** Threads that run vCPUs, by vCPU index. */
  vcpuThreads: readonly number[];
  /** The monitor and its helpers (virtiofsd, vsock daemon): for cgroups and clean-up. */
  pids: readonly number[];
  vcpus: number;
  memoryMiB: number;
}

export interface SignalOptions {
  signal: AbortSignal;
}

export interface StartOptions extends SignalOptions {
  /**
   * Called when the VM has started from a template, and may use it as if `start` had returned. If it throws, the VM is
   * ended and another one boots in its place.
   */
  confirm?: () => Promise<void>;
}

/** One VM. Made by `createHypervisor`; disposing it ends all its processes and removes all its files. */
export interface Hypervisor extends AsyncDisposable {
  readonly capabilities: Capabilities;
  /**
   * Whether it started from a template: then its clock stands where it was saved, and its random numbers are those of all
   * its clones, until the agent is told otherwise.
   */
  readonly isRestored: boolean;
  /**
   * Starts the VM with its devices and returns when its vCPUs run (the agent needs longer: see `agentAddress`).
   *
   * @throws One line naming the cause, with the monitor's last words; nothing is left behind.
   */
  start(options: StartOptions): Promise<void>;
  /** Ends the VM at once. Idempotent (B38). Files stay until it is disposed. */
  stop(): Promise<void>;
  /** The end of the VM, however it comes about. Any number of callers; call after `start`. */
  wait(): Promise<VmExit>;
  /** Stops the vCPUs; memory stays. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Adds a device while the VM runs. */
  plug(device: Device, options?: Partial<SignalOptions>): Promise<GuestAddress>;
  /** Takes a device out, after the guest let go of it (B22). */
  unplug(id: string, options?: Partial<SignalOptions>): Promise<void>;
  /** Where the guest finds a device that was there at the start, or was plugged. */
  guestAddress(id: string): GuestAddress | undefined;
  /** @returns vCPUs that the VM then has; new ones must be brought online by the agent. */
  resizeVcpus(count: number): Promise<number>;
  /** @returns MiB that the VM then has. */
  resizeMemory(targetMiB: number): Promise<number>;
  /**
   * Writes the state of a paused VM that was started to make a template, beside its memory. It cannot go on afterwards:
   * stop it, and the memory is complete.
   *
   * @throws {KataError} FAILED_PRECONDITION if it was not started with `template.kind` "make".
   */
  save(): Promise<void>;
  info(): Promise<VmInfo>;
  /**
   * Where to dial the agent; an address of `rpc/transport/address.ts`. Refuses connections until the agent listens.
   *
   * @throws {Error} Dialling would do harm yet, as the guest has only begun to boot.
   */
  agentAddress(): string;
  /** Key that proves the host on each connection to the agent; undefined if only we can connect or none is asked. */
  agentKey(): HostKey | undefined;
  /** The last lines that the guest's kernel and agent wrote to the console. */
  consoleTail(lines: number): readonly string[];
}

export interface HypervisorOptions {
  /** The sandbox's id. */
  id: string;
  /** Directory for sockets, logs and pid files, such as `/run/kata/<id>`; it must exist and is the caller's. */
  runDir: string;
  log: Logger;
  /** Devices that are there from the start. */
  devices?: readonly Device[];
  /** Network namespace to run the monitor in. */
  netns?: Fd;
  /** `cgroup.procs` files that the monitor and its helpers join; one per hierarchy on v1. */
  cgroupProcs?: readonly string[];
  /**
   * `use`: starts from the template below `root` that fits, and boots if there is none. `make`: boots a machine without a
   * device that could not be saved, with its memory in a file of `directory`.
   */
  template?: { kind: "use"; root: string } | { kind: "make"; directory: string };
  /** Words for the guest's kernel command line, such as `agent.log=debug`; the configuration's `kernel_params` beat them. */
  kernelParams?: readonly string[];
}
