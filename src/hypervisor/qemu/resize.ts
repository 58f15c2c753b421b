/**
 * vCPUs and memory that are added while the VM runs; the agent brings them online. Nothing is taken away again: QEMU 7.2
 * breaks under emulation when a vCPU is unplugged, and memory modules seldom come free.
 *
 * @module
 */
import { Mutex } from "../../base/async.ts";
import { KataError } from "../../base/error.ts";
import type { Logger } from "../../base/log.ts";
import type { Resize } from "../hypervisor.ts";
import type { Machine } from "./args.ts";
import { UndoableCommands } from "./qmp/undoable_commands.ts";
import { type CpuSocket, cpuSockets } from "./qmp/answers.ts";
import { jsonProps } from "./props.ts";
import type { Qmp } from "./qmp/qmp.ts";

/** Linux brings memory online in blocks of this size. */
const BLOCK_MIB = 128;
const STATIC_HINT = "with static_sandbox_resource_mgmt it keeps the size it started with";

export interface ResizeOptions {
  qmp: Qmp;
  machine: Pick<Machine, "memory" | "vcpus">;
  log: Logger;
}

/** The size of one running VM. */
export class QemuResize implements Resize {
  readonly #options: ResizeOptions;
  readonly #turn = new Mutex();
  #vcpus: number;
  #memoryMiB: number;
  #modules = 0;

  constructor(options: ResizeOptions) {
    this.#options = options;
    this.#vcpus = options.machine.vcpus.count;
    this.#memoryMiB = options.machine.memory.sizeMiB;
  }

  /** CPUs and memory of the VM now. */
  get size(): { vcpus: number; memoryMiB: number } {
    return { vcpus: this.#vcpus, memoryMiB: this.#memoryMiB };
  }

  /** @returns vCPUs the VM then has, never fewer than before. */
  async vcpus(count: number): Promise<number> {
    using _turn = await this.#turn.lock();
    const { max } = this.#options.machine.vcpus;
    if (count > max) {
      throw new KataError(
        "RESOURCE_EXHAUSTED",
        `Cannot give the VM ${count} vCPUs: the most is ${max}; ${STATIC_HINT}`,
      );
    }
    const free = (await this.#freeSockets()).slice(0, Math.max(0, count - this.#vcpus));
    for (const { type, props } of free) {
      await this.#options.qmp.execute("device_add", { driver: type, id: `cpu-${this.#vcpus}`, ...jsonProps(props) });
      this.#vcpus++;
    }
    if (free.length > 0) this.#options.log.info(`Plugged ${free.length} vCPUs`, this.size);
    return this.#vcpus;
  }

  /** @returns MiB the VM then has: `targetMiB` rounded up to whole blocks, never less than before. */
  async memory(targetMiB: number): Promise<number> {
    using _turn = await this.#turn.lock();
    const { maxMiB, slots } = this.#options.machine.memory;
    const moreMiB = Math.ceil((targetMiB - this.#memoryMiB) / BLOCK_MIB) * BLOCK_MIB;
    if (moreMiB <= 0) return this.#memoryMiB;
    if (this.#memoryMiB + moreMiB > maxMiB || this.#modules >= slots) {
      const limits = `the most is ${maxMiB} MiB in ${slots} steps, of which ${this.#modules} are taken`;
      throw new KataError("RESOURCE_EXHAUSTED", `Cannot give the VM ${targetMiB} MiB: ${limits}; ${STATIC_HINT}`);
    }
    await this.#addModule(moreMiB);
    this.#options.log.info(`Plugged ${moreMiB} MiB`, this.size);
    return this.#memoryMiB;
  }

  async #freeSockets(): Promise<CpuSocket[]> {
    const free = cpuSockets(await this.#options.qmp.execute("query-hotpluggable-cpus")).filter(({ isFree }) => isFree);
    return free.sort((a, b) => Number(a.props["socket-id"]) - Number(b.props["socket-id"]));
  }

  async #addModule(sizeMiB: number): Promise<void> {
    await using commands = new UndoableCommands(this.#options.qmp);
    const memory = `mem-${this.#modules}`;
    await commands.run({
      command: "object-add",
      args: { "qom-type": "memory-backend-memfd", id: memory, size: sizeMiB * 2 ** 20, share: true },
      undo: (signal) => this.#options.qmp.execute("object-del", { id: memory }, { signal }),
    });
    await this.#options.qmp.execute("device_add", { driver: "pc-dimm", id: `dimm-${this.#modules}`, memdev: memory });
    commands.keep();
    this.#modules++;
    this.#memoryMiB += sizeMiB;
  }
}
