/**
 * Plans the mounts of a container: all that can be decided, and refused, before its first process exists.
 *
 * @module
 */
import { quoted } from "../../base/text.ts";
import { errorCode, KataError } from "../../base/error.ts";
import { isErrno } from "../../linux/ffi/errno.ts";
import { Fd, O_DIRECTORY, O_PATH, pathOf } from "../../linux/io/fd.ts";
import { type GuardedPath, openGuarded } from "../../linux/fs/guarded_path.ts";
import { FILE_SYSTEM_MAGIC, statfs } from "../../linux/fs/statfs.ts";
import { MS, parseMountOptions } from "../../linux/mount/mount_options.ts";
import { type CgroupMountContext, planCgroupMount } from "./cgroup_mount.ts";
import type { IdMaps } from "./idmap.ts";
import { resolveInside } from "./inside.ts";
import { resolveInView, viewOf } from "./view.ts";
import type { Linux, Mount } from "../spec/spec.ts";
import { split } from "./rootfs.ts";
import { isBind, type NodeKind, type PlannedBind, type PlannedMount } from "./planned.ts";

export interface PlanContext {
  /** The root file system as we see it. */
  rootfs: string;
  bundle: string;
  cgroup: CgroupMountContext;
  /** Maps of the container itself, for mounts that ask for mapped ids and name none. */
  linux?: Linux | undefined;
  guardSource?: GuardSource | undefined;
}

/** Tells of an absolute path, the source of a bind mount, which part of it others may write. */
export type GuardSource = (source: string) => GuardedPath;

/**
 * @throws {KataError} INVALID_ARGUMENT for a mount that would be wrong, NOT_FOUND for a source that is missing.
 */
export function planMounts(mounts: readonly Mount[], context: PlanContext): PlannedMount[] {
  const planned: PlannedMount[] = [];
  for (const mount of mounts) {
    const destination = resolveInView(viewOf(planned, context.rootfs), mount.destination);
    checkDestination(mount, { ...context, destination });
    planned.push(...planMount(mount, { ...context, destination, earlier: planned }));
  }
  return planned;
}

interface Placed extends PlanContext {
  destination: string;
  /** Mounts that are made before. */
  earlier: readonly PlannedMount[];
}

function planMount(mount: Mount, context: Placed): PlannedMount[] {
  const { destination } = context;
  const options = parseMountOptions(mount.options ?? []);
  if (isBind(mount)) {
    const source = absoluteSource(mount, context.bundle);
    const maps = isMapped(mount) ? { maps: idMaps(mount, context.linux) } : {};
    const guard = context.guardSource?.(source);
    const brought = guard === undefined ? broughtKind(source, context) : undefined;
    const node = brought ?? sourceKind(mount, { source, guard });
    return [{ kind: "bind", destination, source, node, options, ...maps, ...(guard && { guard }) }];
  }
  if (isMapped(mount)) throw refuse(mount, "mapped ids are for bind mounts only");
  if (!mount.type) throw refuse(mount, "it has neither a type nor the option bind");
  if (mount.type === "cgroup") return planCgroupMount({ destination, options }, context.cgroup);
  const isKernelView = mount.type === "proc" || mount.type === "sysfs";
  const source = mount.source || mount.type;
  const labelled = { ...options, data: withLabel(mount.type, options.data, context.linux?.mountLabel) };
  return [{ kind: "filesystem", destination, source, type: mount.type, options: labelled, noLinks: isKernelView }];
}

/** File systems of the kernel's own files, which the policy labels. */
const LABELLED_BY_POLICY = new Set(["proc", "sysfs", "mqueue"]);

/** SELinux labels all files of a new file system by the mount option `context`; a label may hold commas. */
function withLabel(type: string, data: string, label: string | undefined): string {
  if (!label || LABELLED_BY_POLICY.has(type)) return data;
  return [data, `context="${label}"`].filter((part) => part !== "").join(",");
}

function idMaps(mount: Mount, linux: Linux | undefined): IdMaps {
  const hasOwn = mount.uidMappings !== undefined || mount.gidMappings !== undefined;
  const { uidMappings = [], gidMappings = [] } = (hasOwn ? mount : linux) ?? {};
  if (uidMappings.length > 0 && gidMappings.length > 0) return { uidMappings, gidMappings };
  throw refuse(mount, "mapped ids need uidMappings and gidMappings");
}

/** Whether its owners are seen through maps. */
export function isMapped({ options = [], uidMappings, gidMappings }: Mount): boolean {
  return uidMappings !== undefined || gidMappings !== undefined || options.includes("idmap") ||
    options.includes("ridmap");
}

function absoluteSource(mount: Mount, bundle: string): string {
  if (!mount.source) throw refuse(mount, "a bind mount needs a source");
  return mount.source.startsWith("/") ? mount.source : `${bundle}/${mount.source}`;
}

/**
 * Looks at a source inside the root file system as it will be: earlier mounts of the container hide what is there now, and
 * bring what is not.
 *
 * @returns Undefined if none of them reaches there.
 */
function broughtKind(source: string, { rootfs, earlier }: Placed): NodeKind | undefined {
  if (!source.startsWith(`${rootfs}/`)) return undefined;
  const inside = `/${split(source.slice(rootfs.length)).join("/")}`;
  const isBelow = (path: string, top: string) => path === top || path.startsWith(`${top}/`);
  const above = earlier.findLast(({ kind, destination }) => kind !== "link" && isBelow(inside, destination));
  if (above?.kind === "bind") return existingKind(`${above.source}${inside.slice(above.destination.length)}`);
  // New file systems hold what is made in them for other mounts only.
  const isMade = above?.kind === "filesystem" && earlier.some(({ destination }) => isBelow(destination, inside));
  return isMade ? "directory" : undefined;
}

function existingKind(path: string): NodeKind | undefined {
  try {
    return Deno.statSync(path).isDirectory ? "directory" : "file";
  } catch {
    return undefined;
  }
}

function sourceKind(mount: Mount, { source, guard }: { source: string; guard: GuardedPath | undefined }): NodeKind {
  try {
    using open = guard && openGuarded(guard);
    return Deno.statSync(open === undefined ? source : pathOf(open)).isDirectory ? "directory" : "file";
  } catch (cause) {
    const code = errorCode(cause) ?? (isErrno(cause, "ENOENT") ? "NOT_FOUND" : "INTERNAL");
    throw new KataError(code, `Cannot mount ${quoted(source)} on ${quoted(mount.destination)}`, { cause });
  }
}

/** Files in /proc that tools such as lxcfs replace by a view of the container's own limits. */
const PROC_FILES = new Set([
  "/proc/cpuinfo",
  "/proc/diskstats",
  "/proc/loadavg",
  "/proc/meminfo",
  "/proc/net/dev",
  "/proc/slabinfo",
  "/proc/stat",
  "/proc/swaps",
  "/proc/sys/crypto/fips_enabled",
  "/proc/sys/kernel/ns_last_pid",
  "/proc/uptime",
]);

/**
 * A mount over /proc could hide from this program which process it is writing about.
 */
function checkDestination(mount: Mount, context: PlanContext & { destination: string }): void {
  const { destination } = context;
  const isKernelView = mount.type === "proc" || mount.type === "sysfs";
  if (destination === "/" && (isKernelView || mount.type === "cgroup")) {
    throw refuse(mount, "it would be the root itself");
  }
  if (isKernelView && destination !== resolveInside("", mount.destination, { readLink: () => undefined })) {
    throw refuse(mount, `the image makes it a link to ${quoted(destination)}`);
  }
  if (destination === "/proc") {
    if (mount.type !== "proc" && !isProcBind(mount, context)) throw refuse(mount, "only proc may be mounted there");
  } else if (destination.startsWith("/proc/") && !PROC_FILES.has(destination)) {
    throw refuse(mount, "it is inside /proc");
  }
}

function isProcBind(mount: Mount, { guardSource }: PlanContext): boolean {
  if (!isBind(mount) || mount.source === undefined) return false;
  using open = guardSource && openGuarded(guardSource(mount.source));
  return statfs(open === undefined ? mount.source : pathOf(open)).magic === FILE_SYSTEM_MAGIC.proc;
}

function refuse(mount: Mount, why: string): KataError {
  return new KataError(
    "INVALID_ARGUMENT",
    `Cannot mount ${quoted(mount.source ?? "")} on ${quoted(mount.destination)}: ${why}`,
  );
}

/** Opens the source of a bind mount, with what is mounted there only when it is looked at. */
export function openSource({ source, guard, node }: PlannedBind): Fd {
  const flags = O_PATH | (node === "directory" ? O_DIRECTORY : 0);
  return guard === undefined ? Fd.open(source, flags) : openGuarded(guard, flags);
}

/** Whether its source is a part of what others write, which is to be opened once and for all. */
export function isPart(mount: Mount, { bundle, guardSource }: Pick<PlanContext, "bundle" | "guardSource">): boolean {
  return guardSource !== undefined && isBind(mount) && guardSource(absoluteSource(mount, bundle)).part !== undefined;
}

/** Whether the container brings a /dev of its own, in which we make nothing. */
export function hasOwnDev(planned: readonly PlannedMount[]): boolean {
  return planned.some(({ kind, destination }) => kind === "bind" && destination === "/dev");
}

/** A /dev that is to be read-only is filled first; it is sealed after. */
export function deferReadOnlyDev(planned: readonly PlannedMount[]): { planned: PlannedMount[]; sealDev: boolean } {
  const isReadOnlyDev = (one: PlannedMount) =>
    one.kind === "filesystem" && one.destination === "/dev" && (one.options.flags & MS.RDONLY) !== 0;
  const opened = planned.map((one) => {
    if (one.kind !== "filesystem" || !isReadOnlyDev(one)) return one;
    return { ...one, options: { ...one.options, flags: one.options.flags & ~MS.RDONLY } };
  });
  return { planned: opened, sealDev: planned.some(isReadOnlyDev) };
}
