/** A container's groups on v1: one directory in the hierarchy of each controller. @module */
import { quoted } from "../../base/text.ts";
import {
  type CgroupLayout,
  cgroupMembers,
  createCgroup,
  moveMembers,
  removeCgroup,
  removeEmptyCgroup,
  removeUnusedCgroups,
} from "../../linux/cgroup/cgroup.ts";
import { killCgroup } from "../../linux/cgroup/kill.ts";
import { hasCgroupFile } from "../../linux/cgroup/file.ts";
import type { Resources } from "../spec/spec.ts";
import type { Cgroup, FreezeOptions, WaitOptions } from "./cgroup.ts";
import { type CgroupStats, noIo } from "./stats.ts";
import { applyBlkio, blkioStats } from "./v1/blkio.ts";
import { applyCpu, cpuStats } from "./v1/cpu.ts";
import { cpusetStats } from "./v1/cpuset.ts";
import { applyDevices } from "./v1/devices.ts";
import { isFrozen, setFrozen, thawIfThere } from "./v1/freezer.ts";
import { applyHugetlb, hugetlbStats } from "./v1/hugetlb.ts";
import { applyMemory, memoryStats } from "./v1/memory.ts";
import { applyNetClass, applyNetPriorities } from "./v1/network.ts";
import { applyCpuset } from "./v2/cpuset.ts";
import { hugePageSizes } from "./v2/hugetlb.ts";
import { applyPids, pidsStats } from "./v2/pids.ts";
import { applyRdma } from "./v2/rdma.ts";
import { reaches } from "./wait.ts";

/** One row per resource: whose hierarchy it is set in, and how. A row whose part of `resources` is absent does nothing. */
const CONTROLLERS: readonly { name: string; apply: (path: string, resources: Resources) => void }[] = [
  { name: "devices", apply: (path, { devices }) => devices && applyDevices(path, devices) },
  { name: "memory", apply: (path, { memory }) => memory && applyMemory(path, memory) },
  { name: "cpu", apply: (path, { cpu }) => cpu && applyCpu(path, cpu) },
  { name: "cpuset", apply: (path, { cpu }) => cpu && applyCpuset(path, cpu) },
  { name: "pids", apply: (path, { pids }) => pids && applyPids(path, pids) },
  { name: "blkio", apply: (path, { blockIO }) => blockIO && applyBlkio(path, blockIO) },
  { name: "hugetlb", apply: (path, { hugepageLimits }) => hugepageLimits && applyHugetlb(path, hugepageLimits) },
  { name: "rdma", apply: (path, { rdma }) => rdma && applyRdma(path, rdma) },
  { name: "net_cls", apply: (path, { network }) => network && applyNetClass(path, network) },
  { name: "net_prio", apply: (path, { network }) => network && applyNetPriorities(path, network) },
];

/** The key that memory, CPU and the others have in a configuration, where it is not the controller's own name. */
const ASKED_BY: Readonly<Record<string, (resources: Resources) => boolean>> = {
  memory: ({ memory }) => Boolean(memory?.limit || memory?.swap || memory?.reservation),
  cpu: ({ cpu }) => Boolean(cpu?.shares || cpu?.quota || cpu?.period),
  cpuset: ({ cpu }) => Boolean(cpu?.cpus || cpu?.mems),
  pids: ({ pids }) => Boolean(pids?.limit),
  // Kubernetes names each size with a limit of 0.
  hugetlb: ({ hugepageLimits }) => (hugepageLimits ?? []).some(({ limit }) => BigInt(limit) > 0n),
  rdma: ({ rdma }) => Object.keys(rdma ?? {}).length > 0,
  blkio: ({ blockIO }) => Object.values(blockIO ?? {}).some((value) => Array.isArray(value) ? value.length > 0 : value),
  net_cls: ({ network }) => Boolean(network?.classID),
  net_prio: ({ network }) => (network?.priorities ?? []).length > 0,
};

const FREEZE_TIMEOUT_MS = 10_000;

export class CgroupV1 implements Cgroup {
  readonly version = 1;
  readonly paths: Readonly<Record<string, string>>;
  readonly #layout: CgroupLayout;

  constructor(layout: CgroupLayout, path: string) {
    const roots = [...layout.v1, ...(layout.unified === undefined ? [] : [["", layout.unified] as const])];
    this.paths = Object.fromEntries(roots.map(([controller, root]) => [controller, `${root}/${path}`]));
    this.#layout = layout;
  }

  get memoryPath(): string | undefined {
    return this.paths["memory"];
  }

  exists(): boolean {
    return hasCgroupFile(this.#anyPath(), "cgroup.procs");
  }

  present(): string[] {
    return Object.entries(this.paths).filter(([, path]) => hasCgroupFile(path, "cgroup.procs")).map(([name]) => name);
  }

  create(): void {
    for (const path of this.#directories()) createCgroup(path, { cpuset: path === this.paths["cpuset"] });
  }

  /** @throws {Error} A limit is asked whose controller this machine does not have. */
  apply(resources: Resources): void {
    const [file] = Object.keys(resources.unified ?? {});
    if (file !== undefined) throw new Error(`Cannot set ${quoted(file)}: this machine has cgroups of version 1`);
    for (const { name, apply } of CONTROLLERS) {
      const path = this.paths[name];
      if (path !== undefined) apply(path, resources);
      else if (ASKED_BY[name]?.(resources)) {
        throw new Error(`Cannot limit ${name}: this machine has no cgroup controller "${name}"`);
      }
    }
  }

  procsFiles(): string[] {
    // `tasks` takes one thread, and so the kernel need not stop all others from forking, for which it waits 10 ms.
    return this.#directories().map((path) => `${path}/${path === this.paths[""] ? "cgroup.procs" : "tasks"}`);
  }

  members(): number[] {
    return cgroupMembers(this.#anyPath(), { recursive: true });
  }

  isFrozen(): boolean {
    const path = this.paths["freezer"];
    return path !== undefined && isFrozen(path);
  }

  async freeze({ signal, timeoutMs = FREEZE_TIMEOUT_MS }: FreezeOptions = {}): Promise<void> {
    const path = this.#freezer();
    setFrozen(path, { frozen: true });
    const timing = { timeoutMs, ...(signal && { signal }) };
    // A process that forks at the wrong moment keeps the state at FREEZING: thawing and freezing again helps.
    if (await reaches(() => isFrozen(path), { ...timing, timeoutMs: 500 })) return;
    setFrozen(path, { frozen: false });
    setFrozen(path, { frozen: true });
    if (await reaches(() => isFrozen(path), timing)) return;
    setFrozen(path, { frozen: false });
    throw new Error(`Cannot freeze cgroup "${path}" within ${timeoutMs} ms`);
  }

  async thaw(): Promise<void> {
    setFrozen(this.#freezer(), { frozen: false });
  }

  letDie(): void {
    if (this.paths["freezer"] !== undefined) thawIfThere(this.paths["freezer"]);
  }

  async kill({ signal }: WaitOptions = {}): Promise<void> {
    this.letDie();
    for (const path of this.#directories()) await killCgroup(path, signal ? { signal } : {});
  }

  stats(): CgroupStats {
    const path = (controller: string) => this.paths[controller] ?? "";
    return {
      cpu: cpuStats(path("cpu"), path("cpuacct")),
      memory: memoryStats(path("memory")),
      pids: pidsStats(path("pids")),
      io: this.paths["blkio"] === undefined ? noIo() : blkioStats(path("blkio")),
      hugetlb: hugetlbStats(path("hugetlb"), hugePageSizes()),
      cpuset: cpusetStats(path("cpuset")),
    };
  }

  removeIfEmpty(): boolean {
    return this.#directories().every(removeEmptyCgroup);
  }

  async removeUnused({ but = [], ...options }: WaitOptions & { but?: readonly string[] } = {}): Promise<string[]> {
    const kept = but.map((name) => this.paths[name]);
    const unused = this.#directories().filter((path) => !kept.includes(path));
    return await removeUnusedCgroups(unused, options);
  }

  async remove({ signal }: WaitOptions = {}): Promise<void> {
    for (const [controller, path] of Object.entries(this.paths)) {
      if (removeEmptyCgroup(path)) continue;
      const root = controller === "" ? this.#layout.unified : this.#layout.v1.get(controller);
      if (root !== undefined) moveMembers(path, root);
      await removeCgroup(path, signal ? { signal } : {});
    }
  }

  #freezer(): string {
    const path = this.paths["freezer"];
    if (path === undefined) throw new Error("Cannot pause: this machine has no freezer cgroup");
    return path;
  }

  /** Each once: `cpu` and `cpuacct` may be one hierarchy. */
  #directories(): string[] {
    return [...new Set(Object.values(this.paths))];
  }

  #anyPath(): string {
    return this.paths["freezer"] ?? this.paths["pids"] ?? this.#directories()[0] ?? "";
  }
}
