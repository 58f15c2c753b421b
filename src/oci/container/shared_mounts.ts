/** Mounts of a container that has no mount namespace of its own: they are among others', and go with the container. @module */
import { detachOne } from "../../linux/mount/mount.ts";
import { readMountInfo } from "../../linux/mount/mountinfo.ts";
import type { Spec } from "../spec/spec.ts";
import type { StoredState } from "./state.ts";

/** Whether a container's mounts are nobody else's. */
export function ownsMounts({ linux }: Spec): boolean {
  return (linux?.namespaces ?? []).some(({ type, path }) => type === "mount" && !path);
}

/** Numbers of the mounts that stand on a directory, in our own namespace: a later one covers those before. */
export function mountsOn(directory: string): number[] {
  return readMountInfo().filter(({ mountPoint }) => mountPoint === directory).map(({ id }) => id);
}

/** Takes away what the container mounted on its root file system, and below it. A namespace that it joined keeps it. */
export function releaseMounts({ spec, rootfs, mountsBefore = [] }: StoredState): void {
  if (ownsMounts(spec)) return;
  for (const _ of mountsOn(rootfs).filter((id) => !mountsBefore.includes(id))) {
    detachOne(rootfs);
  }
}
