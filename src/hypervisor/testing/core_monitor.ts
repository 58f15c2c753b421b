/**
 * For tests: a monitor with nothing but the core. Its machine is a shell that does as its guest would; what it is made of
 * otherwise, every monitor shares.
 *
 * @module
 */
import { systemClock } from "../../base/clock.ts";
import { KataError } from "../../base/error.ts";
import { Fd, O_RDONLY } from "../../linux/io/fd.ts";
import { descriptorsOf } from "../device.ts";
import { GuestConsole } from "../process/guest_console.ts";
import { Daemons } from "../process/daemons.ts";
import { VmProcess } from "../process/vm_process.ts";
import { VmWatch } from "../process/watch.ts";
import type { MonitorDriver } from "../driver.ts";
import type { Hypervisor, HypervisorOptions, StartOptions, VmExit, VmInfo } from "../hypervisor.ts";
import type { VmConfig } from "../vm_config.ts";
import type { Ability } from "./conformance_box.ts";

/** For the conformance suite. */
export const CORE_LACKS: Readonly<Partial<Record<Ability, string>>> = {
  hotplug: "the core monitor takes no device while its VM runs",
  resize: "the core monitor cannot change the size of a VM that runs",
  snapshot: "the core monitor cannot save a VM",
};

const CONSOLE_FD = 3;
const PANICKED = 66;
/** The machine, whose guest's habit is its first argument. */
const MACHINE = `
echo guest ready >&${CONSOLE_FD}
case "$1" in
  "powers off") exit 0;;
  panics) echo "Kernel panic - not syncing" >&${CONSOLE_FD}; exit ${PANICKED};;
esac
exec sleep 1000`;

/** The monitor's row, of a kind that no configuration chooses. @param program In place of the shell. */
export function coreDriver(program = "/bin/sh"): Omit<MonitorDriver<"qemu">, "kind"> & { kind: string } {
  return {
    kind: "core",
    capabilities: { devices: ["block", "net"] },
    create: (_table, vm, options) => new CoreMonitor(vm, { ...options, program }),
  };
}

type Running = { process: VmProcess; console: GuestConsole; watch: VmWatch };

class CoreMonitor implements Hypervisor {
  readonly name = "core";
  readonly #config: VmConfig;
  readonly #options: HypervisorOptions & { program: string };
  #vm: Running | undefined;

  constructor(config: VmConfig, options: HypervisorOptions & { program: string }) {
    this.#config = config;
    this.#options = options;
  }

  async start({ signal }: StartOptions): Promise<void> {
    if (this.#vm !== undefined) throw new KataError("FAILED_PRECONDITION", "Cannot start a VM twice");
    try {
      this.#vm = this.#launch();
      await this.#untilReady(this.#vm, signal);
    } catch (cause) {
      await this[Symbol.asyncDispose]();
      throw new Error(`Cannot start the VM of sandbox "${this.#options.id}"`, { cause });
    }
  }

  #launch(): Running {
    const { kernel, kernelParams: { user }, devices, netns, cgroupProcs } = this.#config;
    const { runDir, log, program } = this.#options;
    using inherited = new DisposableStack();
    for (const fd of devices.flatMap(descriptorsOf)) inherited.use(fd);
    using _kernel = Fd.open(kernel, O_RDONLY);
    const { console, writer } = GuestConsole.open();
    inherited.use(writer);
    const args = ["-c", MACHINE, "machine", user];
    const fds = [{ child: CONSOLE_FD, fd: writer }];
    using undo = new DisposableStack();
    undo.use(console);
    const process = VmProcess.start({ name: "core", path: program, args, runDir, log, fds, netns, cgroupProcs });
    undo.move();
    const watch = new VmWatch({ monitor: process, daemons: new Daemons(), console, log });
    watch.follow(process.ended.then(({ status }) => {
      if (!("code" in status)) return;
      watch.guestAsked(status.code === 0 ? "power off" : status.code === PANICKED ? "reset" : "nothing");
    }));
    return { process, console, watch };
  }

  async #untilReady({ console, watch }: Running, signal: AbortSignal): Promise<void> {
    const alive = AbortSignal.any([signal, watch.ended]);
    const hasSpoken = () => console.tail(1).length > 0;
    try {
      while (!hasSpoken()) await systemClock.sleep(5, alive);
    } catch (error) {
      if (signal.aborted || !hasSpoken()) throw error; // a guest may end as soon as it runs
    }
  }

  async stop(): Promise<void> {
    if (this.#vm === undefined) return;
    const { process, watch } = this.#vm;
    watch.expect("the VM was stopped");
    await process[Symbol.asyncDispose]();
    await watch.exit;
  }

  wait(): Promise<VmExit> {
    return this.#running().watch.exit;
  }

  async pause(): Promise<void> {
    Deno.kill(this.#running().process.pid, "SIGSTOP");
  }

  async resume(): Promise<void> {
    Deno.kill(this.#running().process.pid, "SIGCONT");
  }

  guestAddress(): undefined {}

  async info(): Promise<VmInfo> {
    const { pid } = this.#running().process;
    const { vcpus, memoryMiB } = this.#config.size;
    return { pid, pids: [pid], vcpus, memoryMiB };
  }

  agentAddress(): string {
    this.#running();
    return `unix://${this.#options.runDir}/agent.sock`;
  }

  agentKey(): undefined {}

  consoleTail(lines: number): readonly string[] {
    return this.#vm?.console.tail(lines) ?? [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #running(): Running {
    if (this.#vm !== undefined) return this.#vm;
    throw new KataError(
      "FAILED_PRECONDITION",
      `Cannot use the VM of sandbox "${this.#options.id}": it was not started`,
    );
  }
}
