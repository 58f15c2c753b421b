/** Choosing the implementation for the cgroup of a container. @module */
import type { CgroupLayout } from "../../linux/cgroup/cgroup.ts";
import type { Cgroup } from "./cgroup.ts";
import { CgroupV1 } from "./v1.ts";
import { CgroupV2 } from "./v2.ts";

/**
 * Chooses the container's group. Nothing is made yet.
 *
 * @param path What {@linkcode cgroupPath} gave.
 */
export function openCgroup(layout: CgroupLayout, path: string): Cgroup {
  if (layout.mode === "v2") return new CgroupV2(layout.root, path);
  return new CgroupV1(layout, path);
}
