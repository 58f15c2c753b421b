/**
 * The mount of type `cgroup`: the container sees its own groups as the whole hierarchy, whichever version the machine has.
 *
 * @module
 */
import type { CgroupLayout } from "../../linux/cgroup/cgroup.ts";
import { type MountOptions, MS } from "../../linux/mount/mount_options.ts";
import type { PlannedMount } from "./planned.ts";

export interface CgroupMountContext {
  layout: CgroupLayout;
  /** The container's directory in each hierarchy, by v1 controller; the empty key is v2. */
  paths: Readonly<Record<string, string>>;
  /** The container has a cgroup namespace, which shows its own group as the root of a fresh mount. */
  hasNamespace: boolean;
}

interface Target {
  destination: string;
  options: MountOptions;
}

/** Flags for a cgroup file system, which holds no programs or devices. */
const SAFE = MS.NOSUID | MS.NODEV | MS.NOEXEC;

export function planCgroupMount(target: Target, context: CgroupMountContext): PlannedMount[] {
  if (context.layout.mode === "v2") return [planUnified(target, context)];
  const { destination, options } = target;
  const isReadOnly = (options.flags & MS.RDONLY) !== 0;
  const tmpfs = safely({ ...options, flags: options.flags & ~MS.RDONLY }, "mode=755");
  const hierarchies = [...groupByDirectory(context.layout.v1)].flatMap(([directory, controllers]) =>
    planHierarchy({ ...target, directory, controllers }, context)
  );
  const beside = context.layout.unified === undefined
    ? []
    : [planUnified({ destination: `${destination}/unified`, options }, context)];
  return [
    { kind: "filesystem", destination, source: "tmpfs", type: "tmpfs", options: tmpfs },
    ...hierarchies,
    ...beside,
    ...(isReadOnly ? [{ kind: "seal" as const, destination }] : []),
  ];
}

function planUnified({ destination, options }: Target, context: CgroupMountContext): PlannedMount {
  if (context.hasNamespace) {
    return { kind: "filesystem", destination, source: "cgroup2", type: "cgroup2", options: safely(options, "") };
  }
  return { kind: "bind", destination, source: context.paths[""] ?? "", node: "directory", options: bindOf(options) };
}

/** Controllers that share a hierarchy have one directory between them. */
function groupByDirectory(v1: ReadonlyMap<string, string>): Map<string, string[]> {
  return Map.groupBy(v1.keys(), (controller) => v1.get(controller)!);
}

function planHierarchy(
  target: Target & { directory: string; controllers: string[] },
  { paths, hasNamespace }: CgroupMountContext,
): PlannedMount[] {
  const name = target.directory.slice(target.directory.lastIndexOf("/") + 1);
  const destination = `${target.destination}/${name}`;
  const [first = ""] = target.controllers;
  const links = target.controllers.filter((controller) => controller !== name).map((controller) => (
    { kind: "link" as const, destination: `${target.destination}/${controller}`, target: name }
  ));
  // A hierarchy without controllers, such as systemd's, goes by its name.
  const data = first === "systemd" ? "none,name=systemd" : target.controllers.join(",");
  const mount: PlannedMount = hasNamespace
    ? { kind: "filesystem", destination, source: "cgroup", type: "cgroup", options: safely(target.options, data) }
    : { kind: "bind", destination, source: paths[first] ?? "", node: "directory", options: bindOf(target.options) };
  return [mount, ...links];
}

function safely(options: MountOptions, data: string): MountOptions {
  return { ...options, flags: options.flags | SAFE, data };
}

function bindOf(options: MountOptions): MountOptions {
  return { ...options, flags: options.flags | MS.BIND, data: "" };
}
