/**
 * A virtual machine monitor, as the sandbox uses it. This folder turns typed configuration into a command line or an API
 * call (pure), starts the process, and watches it; what is specific to one monitor lives in a folder of its name.
 *
 * @module
 */
import type { Logger } from "../base/log.ts";
import type { HostKey } from "../rpc/transport/host_key.ts";
import type { Device, GuestAddress } from "./device.ts";

/** The end of a VM. */
export interface VmExit {
  /** `true` if it was asked for, by `stop()` or by the guest powering off. */
  expected: boolean;
  /** One line: which process ended and how, and its last words. */
  reason: string;
}

export interface VmInfo {
  /** The monitor's process; undefined if the machine runs elsewhere. */
  pid?: number;
  /** Threads that run vCPUs, by vCPU index; undefined if the monitor cannot tell them from its others. */
  vcpuThreads?: readonly number[];
  /** The monitor and its daemons (virtiofsd, vsock daemon): for cgroups and clean-up. */
  pids: readonly number[];
  vcpus: number;
  memoryMiB: number;
}

export interface SignalOptions {
  signal: AbortSignal;
}

export interface StartOptions extends SignalOptions {
  /**
   * Called when the VM has started from a template (a monitor with `snapshot` only), and may use it as if `start` had
   * returned. If it throws, the VM is ended and another one boots in its place.
   */
  confirm?: () => Promise<void>;
}

/** Devices that come and go while the VM runs. */
export interface Hotplug {
  /** Adds a device. */
  plug(device: Device, options?: Partial<SignalOptions>): Promise<GuestAddress>;
  /** Takes a device out, after the guest let go of it (B22). */
  unplug(id: string, options?: Partial<SignalOptions>): Promise<void>;
}

/** vCPUs and memory that come while the VM runs; the agent brings them online. */
export interface Resize {
  /** @returns vCPUs that the VM then has, never fewer than before. */
  vcpus(count: number): Promise<number>;
  /** @returns MiB that the VM then has, never less than before. */
  memory(targetMiB: number): Promise<number>;
}

/** Starting from a template, and being one. */
export interface Snapshot {
  /**
   * Whether the VM started from a template: then its clock stands where it was saved, and its random numbers are those of
   * all its clones, until the agent is told otherwise.
   */
  readonly isRestored: boolean;
  /**
   * Writes the state of a paused VM that was started to make a template, beside its memory. It cannot go on afterwards:
   * stop it, and the memory is complete.
   *
   * @throws {KataError} FAILED_PRECONDITION if it was not started with `template.kind` "make".
   */
  save(): Promise<void>;
}

/**
 * One VM. Made by `createHypervisor`; disposing it ends all its processes and removes all its files.
 *
 * Every monitor has the core. What only some can do is a facet of its own, which is undefined where the monitor cannot:
 * callers ask by `facetOf`, which refuses by name.
 */
export interface Hypervisor extends AsyncDisposable {
  /** The monitor's name, for messages: `qemu`. */
  readonly name: string;
  readonly hotplug?: Hotplug;
  readonly resize?: Resize;
  readonly snapshot?: Snapshot;
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
  /** Where the guest finds a device that was there at the start, or was plugged. */
  guestAddress(id: string): GuestAddress | undefined;
  info(): Promise<VmInfo>;
  /**
   * Where to dial the agent; an address of `rpc/transport/address.ts`. Refuses connections until the agent listens.
   *
   * @throws {Error} Dialling would do harm yet, as the guest has only begun to boot.
   */
  agentAddress(): string;
  /** Key that proves the host on each connection to the agent; undefined if only we can connect or none is asked. */
  agentKey(): HostKey | undefined;
  /**
   * Knowledge of the monitor about a guest that says nothing, in words for a message; undefined if it can tell nothing.
   * Never rejects, and takes some seconds at most.
   */
  diagnose?(): Promise<string>;
  /** The last lines that the guest's kernel and agent wrote to the console. */
  consoleTail(lines: number): readonly string[];
}

/** Circumstances of one VM on this host; what it is, its `VmConfig` says. */
export interface HypervisorOptions {
  /** The sandbox's id. */
  id: string;
  /** Directory for sockets, logs and pid files, such as `/run/kata/<id>`; it must exist and is the caller's. */
  runDir: string;
  log: Logger;
  /**
   * `use`: starts from the template below `root` that fits, and boots if there is none. `make`: boots a machine without a
   * device that could not be saved, with its memory in a file of `directory`.
   */
  template?: { kind: "use"; root: string } | { kind: "make"; directory: string };
}
