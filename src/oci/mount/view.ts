/** View of the mounts planned so far from inside: one on the root hides the root file system and all before it. @module */
import { type ReadLink, resolveInside } from "./inside.ts";
import type { PlannedBind, PlannedMount } from "./planned.ts";

export interface View {
  /** Path, as we see it, of what stands at the root; undefined for a file system that is empty yet. */
  root: string | undefined;
  /** The bind mount at the root, if there is one. */
  over: PlannedBind | undefined;
  /** Mounts in it. */
  mounts: readonly PlannedMount[];
}

/** @param rootfs The root file system, as we see it. */
export function viewOf(planned: readonly PlannedMount[], rootfs: string): View {
  const last = planned.findLastIndex(({ destination }) => destination === "/");
  const over = planned[last];
  const mounts = planned.slice(last + 1);
  if (over === undefined) return { root: rootfs, over, mounts };
  return over.kind === "bind" ? { root: over.source, over, mounts } : { root: undefined, over: undefined, mounts };
}

/**
 * As {@linkcode resolveInside}, where mounts hide what the image holds.
 *
 * @throws {RangeError} More than 40 links.
 */
export function resolveInView({ root, mounts }: View, path: string): string {
  const covered = mounts.filter(({ kind }) => kind !== "link").map(({ destination }) => destination);
  const nothing: ReadLink = () => undefined;
  return resolveInside(root ?? "", path, { covered, ...(root === undefined && { readLink: nothing }) });
}
