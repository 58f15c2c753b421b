/** Groups below that of a container, which a process that joins can be put into. @module */
import type { Cgroup } from "./cgroup.ts";

/** Path below the container's group by controller; the empty key means every hierarchy. */
export type SubCgroups = ReadonlyMap<string, string>;

/**
 * The files to write a process into, as {@linkcode Cgroup.procsFiles} gives them for the container's own group.
 *
 * @throws {RangeError} A controller that the container has not, or a path that leaves its group.
 */
export function subCgroupFiles({ paths }: Pick<Cgroup, "paths">, sub: SubCgroups): string[] {
  const unknown = [...sub.keys()].find((controller) => controller !== "" && paths[controller] === undefined);
  if (unknown !== undefined) {
    throw new RangeError(`Cannot exec into a cgroup of controller "${unknown}": there is none`);
  }
  const files = Object.entries(paths).map(([controller, path]) => {
    const below = (sub.get(controller) ?? sub.get("") ?? "").split("/").filter((name) => name !== "" && name !== ".");
    if (below.includes("..")) throw new RangeError(`Cannot exec into cgroup "${below.join("/")}": it holds ".."`);
    return [path, ...below, controller === "" ? "cgroup.procs" : "tasks"].join("/");
  });
  return [...new Set(files)];
}

/**
 * Reads values such as `worker` or `cpu,cpuacct:worker`.
 *
 * @throws {RangeError} Several that are not told apart by controllers.
 */
export function parseSubCgroups(values: readonly string[]): SubCgroups {
  const sub = new Map<string, string>();
  for (const value of values) {
    const [, controllers, path = ""] = /^(?:([^:/]*):)?(.*)$/s.exec(value) ?? [];
    for (const controller of (controllers ?? "").split(",")) {
      if (sub.has(controller) || (controller === "" && values.length > 1)) {
        throw new RangeError(`Cannot use --cgroup "${value}": several need a controller each, as in cpu:${path}`);
      }
      sub.set(controller, path);
    }
  }
  return sub;
}
