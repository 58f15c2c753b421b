/** A container's group on v2: one directory for all controllers. @module */
import { quoted } from "../../base/text.ts";
import {
  cgroupMembers,
  createCgroup,
  moveMembers,
  parseCgroupMembership,
  removeCgroup,
  removeEmptyCgroup,
  removeUnusedCgroups,
} from "../../linux/cgroup/cgroup.ts";
import { killCgroup } from "../../linux/cgroup/kill.ts";
import { hasCgroupFile, readCgroupFile, writeCgroupFile } from "../../linux/cgroup/file.ts";
import { isErrno } from "../../linux/ffi/errno.ts";
import type { Resources } from "../spec/spec.ts";
import type { Cgroup, FreezeOptions, WaitOptions } from "./cgroup.ts";
import type { CgroupStats } from "./stats.ts";
import { applyCpu, cpuStats } from "./v2/cpu.ts";
import { applyCpuset } from "./v2/cpuset.ts";
import { applyDevices } from "./v2/devices.ts";
import { isFrozen, setFrozen } from "./v2/freezer.ts";
import { applyHugetlb, hugePageSizes, hugetlbStats } from "./v2/hugetlb.ts";
import { applyIo, ioStats } from "./v2/io.ts";
import { applyMemory, memoryStats } from "./v2/memory.ts";
import { applyPids, pidsStats } from "./v2/pids.ts";
import { applyRdma } from "./v2/rdma.ts";
import { reaches } from "./wait.ts";

const FREEZE_TIMEOUT_MS = 10_000;

export class CgroupV2 implements Cgroup {
  readonly version = 2;
  readonly paths: Readonly<Record<string, string>>;
  readonly #root: string;
  readonly #path: string;

  constructor(root: string, path: string) {
    this.#root = root;
    this.#path = `${root}/${path}`;
    this.paths = { "": this.#path };
  }

  get memoryPath(): string {
    return this.#path;
  }

  exists(): boolean {
    return hasCgroupFile(this.#path, "cgroup.procs");
  }

  present(): string[] {
    return this.exists() ? [""] : [];
  }

  create(): void {
    createCgroup(this.#path);
    for (const ancestor of ancestors(this.#root, this.#path)) enableControllers(ancestor);
  }

  /** @throws {Error} A group above it cannot give it the controller of a limit, which that one's processes forbid. */
  apply(resources: Resources): void {
    try {
      this.#apply(resources);
    } catch (cause) {
      const above = ancestors(this.#root, this.#path).find(isLivedIn);
      if (above === undefined || !isErrno((cause as Error).cause, "ENOENT")) throw cause;
      const why = `"${above}" has processes of its own, and so gives it no controllers`;
      throw new Error(`Cannot limit cgroup "${this.#path}": ${why}`, { cause });
    }
  }

  #apply(resources: Resources): void {
    const { devices, memory, cpu, pids, blockIO, hugepageLimits, rdma, unified } = resources;
    if (devices) applyDevices(this.#path, devices);
    if (memory) applyMemory(this.#path, memory);
    if (cpu) applyCpu(this.#path, cpu);
    if (cpu) applyCpuset(this.#path, cpu);
    if (pids) applyPids(this.#path, pids);
    if (blockIO) applyIo(this.#path, blockIO);
    if (hugepageLimits) applyHugetlb(this.#path, hugepageLimits);
    if (rdma) applyRdma(this.#path, rdma);
    for (const [file, value] of Object.entries(unified ?? {})) applyUnified(this.#path, file, value);
  }

  procsFiles(initPid?: number): string[] {
    const own = `${this.#path}/cgroup.procs`;
    if (initPid === undefined || !readCgroupFile(this.#path, "cgroup.subtree_control")) return [own];
    const moved = membership(initPid);
    return [moved === undefined ? own : `${this.#root}${moved}/cgroup.procs`];
  }

  members(): number[] {
    return cgroupMembers(this.#path, { recursive: true });
  }

  isFrozen(): boolean {
    return isFrozen(this.#path);
  }

  async freeze(options: FreezeOptions = {}): Promise<void> {
    await this.#setFrozen({ frozen: true }, options);
  }

  async thaw(options: WaitOptions = {}): Promise<void> {
    await this.#setFrozen({ frozen: false }, options);
  }

  async #setFrozen(state: { frozen: boolean }, options: FreezeOptions): Promise<void> {
    const { signal, timeoutMs = FREEZE_TIMEOUT_MS } = options;
    setFrozen(this.#path, state);
    const isDone = () => isFrozen(this.#path) === state.frozen;
    if (await reaches(isDone, { timeoutMs, ...(signal && { signal }) })) return;
    if (state.frozen) setFrozen(this.#path, { frozen: false });
    const verb = state.frozen ? "freeze" : "thaw";
    throw new Error(`Cannot ${verb} cgroup "${this.#path}" within ${timeoutMs} ms`);
  }

  /** A frozen process dies. */
  letDie(): void {}

  async kill({ signal }: WaitOptions = {}): Promise<void> {
    await killCgroup(this.#path, signal ? { signal } : {});
  }

  stats(): CgroupStats {
    return {
      cpu: cpuStats(this.#path),
      memory: memoryStats(this.#path),
      pids: pidsStats(this.#path),
      io: ioStats(this.#path),
      hugetlb: hugetlbStats(this.#path, hugePageSizes()),
    };
  }

  removeIfEmpty(): boolean {
    return removeEmptyCgroup(this.#path);
  }

  async removeUnused({ but = [], ...options }: WaitOptions & { but?: readonly string[] } = {}): Promise<string[]> {
    return await removeUnusedCgroups(but.includes("") ? [] : [this.#path], options);
  }

  async remove({ signal }: WaitOptions = {}): Promise<void> {
    moveMembers(this.#path, this.#root);
    await removeCgroup(this.#path, signal ? { signal } : {});
  }
}

/** From the root down to the parent of `path`. */
function ancestors(root: string, path: string): string[] {
  const names = path.slice(root.length + 1).split("/");
  return names.map((_, depth) => [root, ...names.slice(0, depth)].join("/"));
}

/** Whether processes are in the group itself, as none may be that gives controllers. The hierarchy's root may have some. */
function isLivedIn(cgroup: string): boolean {
  // A threaded group is asked for its threads: its processes it does not tell.
  return hasCgroupFile(cgroup, "cgroup.type") && readCgroupFile(cgroup, "cgroup.threads") !== "";
}

/**
 * Hands every controller that the group has to its children. None of one that processes are in: the kernel would take those
 * of threads, and make the group one of threads, in which its children take no processes.
 */
function enableControllers(cgroup: string): void {
  const words = (file: string) => (readCgroupFile(cgroup, file) ?? "").split(" ").filter((word) => word !== "");
  const enabled = new Set(words("cgroup.subtree_control"));
  const missing = words("cgroup.controllers").filter((name) => !enabled.has(name));
  if (missing.length > 0 && isLivedIn(cgroup)) return;
  for (const controller of missing) {
    try {
      writeCgroupFile(cgroup, "cgroup.subtree_control", `+${controller}`);
    } catch (error) {
      // One by one, as some cannot be given away here: processes in the group (EBUSY), a threaded or partial
      // hierarchy. A limit that needs the controller then fails by its own name.
      if (!isErrno((error as Error).cause, "EBUSY", "EINVAL", "ENOENT", "EOPNOTSUPP", "EPERM", "EACCES")) throw error;
    }
  }
}

/** @throws {RangeError} The name would leave the group. */
function applyUnified(cgroup: string, file: string, value: string): void {
  if (file.includes("/")) throw new RangeError(`Cannot set ${quoted(file)} of the cgroup: a file name has no slash`);
  for (const line of value.split("\n")) writeCgroupFile(cgroup, file, line);
}

function membership(pid: number): string | undefined {
  try {
    const groups = parseCgroupMembership(Deno.readTextFileSync(`/proc/${pid}/cgroup`));
    return groups.find(({ hierarchy }) => hierarchy === 0)?.path;
  } catch {
    // The process has just ended: joining the container's own group will say so.
    return undefined;
  }
}
