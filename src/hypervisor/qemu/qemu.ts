/** QEMU as a {@linkcode Hypervisor}. @module */
import { abortable } from "../../base/async.ts";
import { KataError } from "../../base/error.ts";
import type { HostKey } from "../../rpc/transport/host_key.ts";
import { Fd, O_CREAT, O_EXCL, O_WRONLY } from "../../linux/io/fd.ts";
import { hostAddress, hostKey } from "../common/agent_channel.ts";
import { shareDaemonName, startShares } from "../common/shares.ts";
import type { Device, GuestAddress } from "../device.ts";
import type {
  Hotplug,
  Hypervisor,
  HypervisorOptions,
  Resize,
  SignalOptions,
  Snapshot,
  StartOptions,
  VmExit,
  VmInfo,
} from "../hypervisor.ts";
import { templateFiles } from "../template.ts";
import type { QemuTable, VmConfig } from "../vm_config.ts";
import { cpuThreads } from "./qmp/answers.ts";
import { diagnose } from "./qmp/diagnose.ts";
import { QemuHotplug } from "./hotplug.ts";
import { launch, type LaunchOptions } from "./launch.ts";
import { machineKind } from "./machine_kinds.ts";
import { saveState } from "./qmp/migrate.ts";
import { QemuResize } from "./resize.ts";
import { type PluggableVm, tryRestore } from "./restore.ts";

/** QEMU writes out what its disks hold before it quits. */
const QUIT_MS = 2_000;
/** A guest lets go of a device within a moment, or not at all. */
const PLUG_MS = 10_000;

/** One VM under QEMU. */
export class Qemu implements Hypervisor {
  readonly name = "qemu";
  readonly hotplug: Hotplug = {
    plug: (device, options) => this.#plug(device, options),
    unplug: (id, options) => this.#unplug(id, options),
  };
  readonly resize?: Resize;
  readonly snapshot: Snapshot;
  readonly #options: HypervisorOptions & { config: QemuTable; vm: VmConfig };
  #vm: (PluggableVm & { resize: QemuResize }) | undefined;
  #isRestored = false;

  constructor(config: QemuTable, vm: VmConfig, options: HypervisorOptions) {
    this.#options = { ...options, config, vm };
    if (machineKind(config).grows) {
      this.resize = {
        vcpus: async (count) => await this.#running().resize.vcpus(count),
        memory: async (targetMiB) => await this.#running().resize.memory(targetMiB),
      };
    }
    const isRestored = () => this.#isRestored;
    this.snapshot = {
      get isRestored() {
        return isRestored();
      },
      save: () => this.#save(),
    };
  }

  async start({ signal, confirm = async () => {} }: StartOptions): Promise<void> {
    if (this.#vm !== undefined) throw new KataError("FAILED_PRECONDITION", "Cannot start a VM twice");
    try {
      const options = { ...this.#options, signal };
      const use = async (vm: PluggableVm) => {
        this.#use(vm, { isRestored: true });
        await confirm();
      };
      if (!await tryRestore(options, use)) this.#use(await boot(options), { isRestored: false });
    } catch (cause) {
      throw new Error(`Cannot start the VM of sandbox "${this.#options.id}"`, { cause });
    }
  }

  async stop(): Promise<void> {
    if (this.#vm === undefined) return;
    const { qmp, qemu, daemons, watch } = this.#vm;
    watch.expect("the VM was stopped");
    const signal = AbortSignal.timeout(QUIT_MS);
    try {
      await qmp.execute("quit", {}, { signal });
      await abortable(qemu.ended, signal);
    } catch {
      // QEMU has gone already, or it hangs: killing it is right in both cases.
    }
    for (const processes of [qemu, daemons]) await processes[Symbol.asyncDispose]();
    await watch.exit;
  }

  wait(): Promise<VmExit> {
    return this.#running().watch.exit;
  }

  async pause(): Promise<void> {
    await this.#running().qmp.execute("stop");
    this.#options.log.info("Paused the VM");
  }

  async resume(): Promise<void> {
    await this.#running().qmp.execute("cont");
    this.#options.log.info("Resumed the VM");
  }

  async #plug(device: Device, { signal }: Partial<SignalOptions> = {}): Promise<GuestAddress> {
    const { hotplug, daemons } = this.#running();
    if (device.kind !== "shareFs") return await hotplug.plug(device, within(PLUG_MS, signal));
    await using undo = new AsyncDisposableStack();
    await startShares({ ...this.#options, daemons }, [device]);
    undo.defer(() => daemons.end(shareDaemonName(device)));
    const address = await hotplug.plug(device, within(PLUG_MS, signal));
    undo.move();
    return address;
  }

  async #unplug(id: string, { signal }: Partial<SignalOptions> = {}): Promise<void> {
    const { hotplug, daemons } = this.#running();
    // The daemon ends by itself when QEMU lets go of its socket.
    await daemons.endAfter(shareDaemonName({ id }), () => hotplug.unplug(id, within(PLUG_MS, signal)));
  }

  guestAddress(id: string): GuestAddress | undefined {
    return this.#vm?.hotplug.address(id);
  }

  async #save(): Promise<void> {
    const { qmp } = this.#running();
    const { template } = this.#options;
    if (template?.kind !== "make") {
      throw new KataError("FAILED_PRECONDITION", "Cannot save a VM that was not started to make a template");
    }
    using state = Fd.open(templateFiles(template.directory).state, O_WRONLY | O_CREAT | O_EXCL, 0o600);
    await saveState(qmp, state);
  }

  async info(): Promise<VmInfo> {
    const { qemu, daemons, resize, qmp } = this.#running();
    return {
      pid: qemu.pid,
      pids: [qemu.pid, ...daemons.pids],
      vcpuThreads: cpuThreads(await qmp.execute("query-cpus-fast"), qemu.pid),
      ...resize.size,
    };
  }

  agentAddress(): string {
    return hostAddress(this.#running().channel);
  }

  agentKey(): HostKey | undefined {
    return hostKey(this.#running().channel);
  }

  async diagnose(): Promise<string> {
    const { qmp, qemu } = this.#running();
    return await diagnose(qmp, { proc: `/proc/${qemu.pid}` });
  }

  consoleTail(lines: number): readonly string[] {
    return this.#vm?.console.tail(lines) ?? [];
  }

  /** Ends the VM and removes its files. Idempotent (B38). */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.#vm?.[Symbol.asyncDispose]();
  }

  #use(vm: PluggableVm, { isRestored }: { isRestored: boolean }): void {
    const { qmp, plan: { machine } } = vm;
    this.#vm = { ...vm, resize: new QemuResize({ qmp, machine, log: this.#options.log }) };
    this.#isRestored = isRestored;
  }

  #running() {
    if (this.#vm !== undefined) return this.#vm;
    throw new KataError(
      "FAILED_PRECONDITION",
      `Cannot use the VM of sandbox "${this.#options.id}": it was not started`,
    );
  }
}

async function boot(options: LaunchOptions): Promise<PluggableVm> {
  const { config, vm: { devices: cold }, runDir, log } = options;
  const vm = await launch(options);
  return {
    ...vm,
    hotplug: new QemuHotplug({ qmp: vm.qmp, bus: vm.plan.bus, config, runDir, log, cold }),
  };
}

function within(ms: number, signal?: AbortSignal): AbortSignal {
  const limit = AbortSignal.timeout(ms);
  return signal === undefined ? limit : AbortSignal.any([signal, limit]);
}
