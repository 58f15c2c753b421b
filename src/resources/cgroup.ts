/**
 * The host's cgroups of a sandbox: what the pod's VM uses is counted and limited where the engine wants it.
 *
 * With `sandbox_cgroup_only` everything that belongs to the VM is in the pod's group. Without it only its vCPUs are, and
 * the rest is in a group of its own below `kata_overhead`, so that it does not count against the pod. The shim stays
 * where the engine put it: it has to tell of the pod's end when memory runs out.
 *
 * @module
 */
import type { VmInfo } from "../hypervisor/hypervisor.ts";
import { type CgroupLayout, joinCgroup, joinCgroupThread, removeCgroup } from "../linux/cgroup/cgroup.ts";
import { readFlatKeyed } from "../linux/cgroup/file.ts";
import { isErrno } from "../linux/ffi/errno.ts";
import { openCgroup } from "../oci/cgroup/open.ts";
import { type Cgroup, cgroupPath } from "../oci/cgroup/cgroup.ts";
import type { CgroupStats } from "../oci/cgroup/stats.ts";

const OVERHEAD = "kata_overhead";

export interface HostCgroupsOptions {
  layout: CgroupLayout;
  /** From the sandbox's specification. */
  cgroupsPath: string | undefined;
  sandboxId: string;
  /** `sandbox_cgroup_only` of the configuration. */
  sandboxOnly: boolean;
}

/** Disposing them moves what is left in them to the root and removes them (B4); the VM should be gone by then. */
export class HostCgroups implements AsyncDisposable {
  readonly #sandbox: Cgroup;
  readonly #overhead: Cgroup | undefined;

  /** Makes the groups. @throws {RangeError} The path leaves the hierarchy. */
  constructor({ layout, cgroupsPath, sandboxId, sandboxOnly }: HostCgroupsOptions) {
    this.#sandbox = openCgroup(layout, cgroupPath(cgroupsPath, sandboxId));
    this.#overhead = sandboxOnly ? undefined : openCgroup(layout, `${OVERHEAD}/${sandboxId}`);
    this.#sandbox.create();
    this.#overhead?.create();
  }

  /** Files that the VMM and its helpers write themselves into before they run, so that all they use is counted. */
  get procsFiles(): readonly string[] {
    return (this.#overhead ?? this.#sandbox).procsFiles();
  }

  /** Their directories, for the clean-up after a crash. */
  get directories(): readonly string[] {
    return [this.#sandbox, this.#overhead].flatMap((group) => group === undefined ? [] : Object.values(group.paths));
  }

  /**
   * Puts what runs the guest into the pod's group, if it is not there from its start (B45): the vCPUs' threads on v1, the
   * VMM's whole process on v2, which has no groups of threads to offer, and where nobody can tell the threads apart. Call
   * it again when vCPUs were added.
   */
  moveVm({ pid, vcpuThreads }: Pick<VmInfo, "pid" | "vcpuThreads">): void {
    if (this.#overhead === undefined || pid === undefined) return;
    for (const [controller, directory] of Object.entries(this.#sandbox.paths)) {
      if (controller === "" || vcpuThreads === undefined) joinIfAlive(() => joinCgroup(directory, pid));
      else for (const tid of vcpuThreads) joinIfAlive(() => joinCgroupThread(directory, tid));
    }
  }

  /** Binds the VM to CPUs of the host. @param cpus A list such as `0-3,7`. */
  bindTo(cpus: string): void {
    this.#sandbox.apply({ cpu: { cpus } });
  }

  /** Processes in them that the kernel has killed as their memory ran out. */
  oomKills(): bigint {
    const groups = [this.#sandbox, this.#overhead].flatMap((group) =>
      group === undefined ? [] : Object.values(group.paths)
    );
    return groups.reduce((sum, directory) => sum + killsIn(directory), 0n);
  }

  /** Usage of the pod's group. */
  stats(): CgroupStats {
    return this.#sandbox.stats();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#overhead?.remove();
    Object.values(this.#overhead?.paths ?? {}).forEach(removeOverheadParent);
    await this.#sandbox.remove();
  }
}

/** Each version tells it in one of these files, which other hierarchies have not. */
const KILLS_FILES = ["memory.events", "memory.oom_control"] as const;

function killsIn(directory: string): bigint {
  for (const file of KILLS_FILES) {
    try {
      const kills = readFlatKeyed(directory, file).get("oom_kill");
      if (kills !== undefined) return kills;
    } catch {
      // It is about words for an error, which another one must not replace.
    }
  }
  return 0n;
}

/** Threads of a VM that was killed may take this long to leave on a busy machine. containerd waits 5 s for all clean-up. */
const LEAVING_MS = 3_000;

/**
 * Removes the groups of a sandbox whose shim is gone, by their {@linkcode HostCgroups.directories}.
 *
 * @throws What could not be removed; the rest is.
 */
export async function removeHostCgroups(directories: readonly string[]): Promise<void> {
  await using cleanup = new AsyncDisposableStack();
  const removals = directories.map((directory) => removeCgroup(directory, { patienceMs: LEAVING_MS }));
  // All of them wait for the same processes.
  await Promise.allSettled(removals);
  for (const removal of removals) cleanup.defer(() => removal);
  for (const directory of directories) cleanup.defer(() => removeOverheadParent(directory));
}

/** The group above that of one sandbox' overhead goes with the last of them. */
function removeOverheadParent(directory: string): void {
  const parent = directory.slice(0, directory.lastIndexOf("/"));
  if (!parent.endsWith(`/${OVERHEAD}`)) return;
  try {
    Deno.removeSync(parent);
  } catch (error) {
    if (!isErrno(error, "EBUSY", "ENOTEMPTY", "ENOENT")) throw error;
  }
}

function joinIfAlive(join: () => void): void {
  try {
    join();
  } catch (error) {
    if (!isErrno((error as Error).cause, "ESRCH")) throw error;
  }
}
