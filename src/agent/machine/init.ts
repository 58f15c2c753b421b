/**
 * Sets up the machine as its first process must: the kernel's file systems, cgroups, a name, the loopback.
 * Parts that an initramfs has set up already are left as they are.
 *
 * @module
 */
import { isErrno } from "../../linux/ffi/errno.ts";
import { setHostname } from "../../linux/device/machine.ts";
import { mount } from "../../linux/mount/mount.ts";
import { MS } from "../../linux/mount/mount_options.ts";
import { setRlimit } from "../../linux/process/process.ts";
import { Rtnetlink } from "../../linux/net/rtnetlink.ts";

interface SystemMount {
  type: string;
  target: string;
  flags: number;
  data?: string;
  /** Goes on without it: an old kernel may have made the nodes some other way. */
  optional?: boolean;
}

const BASE_MOUNTS: readonly SystemMount[] = [
  { type: "proc", target: "/proc", flags: MS.NOSUID | MS.NODEV | MS.NOEXEC },
  { type: "sysfs", target: "/sys", flags: MS.NOSUID | MS.NODEV | MS.NOEXEC },
  { type: "devtmpfs", target: "/dev", flags: MS.NOSUID, data: "mode=755", optional: true },
  { type: "tmpfs", target: "/dev/shm", flags: MS.NOSUID | MS.NODEV },
  { type: "devpts", target: "/dev/pts", flags: MS.NOSUID | MS.NOEXEC, data: "mode=620,ptmxmode=666" },
  { type: "tmpfs", target: "/run", flags: MS.NOSUID | MS.NODEV, data: "mode=755" },
];

const RLIMIT_NOFILE = 7;
/** The kernel gives its first process 4096, which containers would inherit. */
const MAX_FILES = 1_048_576n;

const CGROUP_ROOT = "/sys/fs/cgroup";
const CGROUP_FLAGS = MS.NOSUID | MS.NODEV | MS.NOEXEC | MS.RELATIME;
const V1_CONTROLLERS: ReadonlySet<string> = new Set([
  "cpu",
  "cpuacct",
  "blkio",
  "cpuset",
  "memory",
  "devices",
  "freezer",
  "net_cls",
  "perf_event",
  "net_prio",
  "hugetlb",
  "pids",
  "rdma",
]);

/** Mounts the file systems that everything else needs, in order; one that is there with the same type is left alone. */
export function mountBaseFilesystems(): void {
  const mounts = readMounts(); // once: what follows changes nothing that it is asked for
  for (const entry of BASE_MOUNTS) mountOnce(entry, mounts);
}

function mountOnce({ type, target, flags, data, optional = false }: SystemMount, mounts: string): void {
  if (isMounted(target, type, mounts)) return;
  try {
    Deno.mkdirSync(target, { recursive: true });
    mount(type, target, { type, flags, ...(data !== undefined && { data }) });
  } catch (cause) {
    if (!optional) throw new Error(`Cannot mount ${type} for the guest`, { cause });
  }
}

/** @param mounts Lines of "SOURCE TARGET TYPE ...": a search costs the start nothing, parsing them a tenth of a second. */
function isMounted(target: string, type: string, mounts: string): boolean {
  return mounts.includes(` ${target} ${type} `);
}

function readMounts(): string {
  try {
    return Deno.readTextFileSync("/proc/self/mounts");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return ""; // no /proc yet
    throw error;
  }
}

/**
 * Mounts the cgroup hierarchies.
 *
 * @param options `unified`: version 2, one mount; otherwise version 1, one mount per controller of this kernel.
 */
export function mountCgroups({ unified }: { unified: boolean }): void {
  const mounts = readMounts();
  if (isMounted(CGROUP_ROOT, "cgroup2", mounts) || isMounted(CGROUP_ROOT, "tmpfs", mounts)) return;
  if (unified) {
    mount("cgroup2", CGROUP_ROOT, { type: "cgroup2", flags: CGROUP_FLAGS, data: "nsdelegate" });
    return;
  }
  const controllers = enabledControllers(Deno.readTextFileSync("/proc/cgroups"));
  // Containers cannot be kept off the devices without this controller, so nothing is half set up.
  if (!controllers.includes("devices")) return;
  mount("tmpfs", CGROUP_ROOT, { type: "tmpfs", flags: MS.NOSUID | MS.NODEV | MS.NOEXEC, data: "mode=755" });
  for (const name of controllers) {
    Deno.mkdirSync(`${CGROUP_ROOT}/${name}`);
    mount("cgroup", `${CGROUP_ROOT}/${name}`, { type: "cgroup", flags: CGROUP_FLAGS, data: name });
  }
  const readOnly = MS.REMOUNT | MS.RDONLY | MS.NOSUID | MS.NODEV | MS.NOEXEC;
  mount("tmpfs", CGROUP_ROOT, { type: "tmpfs", flags: readOnly, data: "mode=755" });
  if (controllers.includes("memory")) useMemoryHierarchy();
}

/** Names that `/proc/cgroups` says are in this kernel and switched on. */
export function enabledControllers(text: string): string[] {
  const rows = text.split("\n").filter((line) => line !== "" && !line.startsWith("#")).map((line) => line.split("\t"));
  return rows.filter(([name = "", , , enabled]) => enabled === "1" && V1_CONTROLLERS.has(name)).map(([name]) => name!);
}

function useMemoryHierarchy(): void {
  try {
    Deno.writeTextFileSync(`${CGROUP_ROOT}/memory/memory.use_hierarchy`, "1");
  } catch (error) {
    // Newer kernels know nothing but hierarchies and refuse or lack the file.
    if (!isErrno(error, "ENOENT", "EINVAL", "EACCES")) throw error;
  }
}

function raiseFileLimit(): void {
  const limits = new Uint8Array(BigUint64Array.of(MAX_FILES, MAX_FILES).buffer);
  try {
    setRlimit(Deno.pid, { resource: RLIMIT_NOFILE, name: "RLIMIT_NOFILE", limits });
  } catch (error) {
    if (!isErrno(error, "EPERM")) throw error; // PID 1 of a namespace only, or a kernel that allows less
  }
}

/** The machine's name before the sandbox gives it one. */
function initialHostname(): string {
  try {
    return Deno.readTextFileSync("/etc/hostname").trim().split(/\s+/)[0] || "localhost";
  } catch {
    return "localhost";
  }
}

/**
 * Takes possession of a machine whose base file systems are mounted: cgroups, name, search path, loopback.
 *
 * @param options `unifiedCgroups`: version 2 of cgroups.
 */
export function becomeInit({ unifiedCgroups }: { unifiedCgroups: boolean }): void {
  mountCgroups({ unified: unifiedCgroups });
  setHostname(initialHostname());
  raiseFileLimit();
  Deno.env.set("PATH", "/bin:/sbin:/usr/bin:/usr/sbin");
  using netlink = new Rtnetlink();
  netlink.changeLink(netlink.link("lo").index, { up: true });
}
