/** A container's root file system, mounted on the host where the guest sees it. @module */
import type { Logger } from "../../base/log.ts";
import { quoted } from "../../base/text.ts";
import type { Fd } from "../../linux/io/fd.ts";
import { bindMount, detachOne, mount, remountBind } from "../../linux/mount/mount.ts";
import { mountFrom } from "../../linux/mount/mount_from.ts";
import { mountSetattr, openTree } from "../../linux/mount/mount_tree.ts";
import { MS, parseMountOptions } from "../../linux/mount/mount_options.ts";
import { copyWithoutKernel } from "../kernel_mounts.ts";
import { ready } from "../resource.ts";
import type { ContainerShare, SharedTree } from "../share_fs.ts";
import { mountMapped, takeMaps } from "./mapped.ts";
import { makeMountPoints } from "./mount_points.ts";
import { shortenOverlay } from "./overlay.ts";
import type { Rootfs, RootfsHandler, RootfsMount, RootfsSide } from "./rootfs.ts";

/** Takes all that no other handler takes. */
export const sharedRootfs: RootfsHandler = {
  name: "share",
  matches: () => true,
  prepare(rootfs, { share, log }) {
    const shown = shareRootfs(share, { ...rootfs, ...(log && { log }) });
    return ready<RootfsSide>(this.name, { rootPath: shown.guestPath }, shown);
  },
};

/** @throws {Error} Naming the mount that failed; nothing stays mounted. */
export function shareRootfs(
  share: ContainerShare,
  { mounts, path, readOnly, log }: Rootfs & { log?: Logger },
): SharedTree {
  // A later unmount in the share must not unmount the original as well.
  const propagation = MS.SLAVE;
  using tree = mounts.length === 0
    ? copyWithoutKernel(path, { path: Deno.realPathSync(path), stage: share.stage, propagation, log })
    : mountAll(mounts, share.stage);
  mountSetattr(tree, { propagation, recursive: true });
  if (readOnly !== undefined) makeMountPoints(tree, readOnly);
  return share.show(tree, "rootfs", { readOnly: readOnly !== undefined });
}

/** @returns What is seen when all of them are on each other, as a tree of its own. */
function mountAll(mounts: readonly RootfsMount[], stage: string): Fd {
  using undo = new DisposableStack();
  undo.defer(() => {
    while (detachOne(stage));
  });
  for (const each of mounts) mountOne(each, stage);
  return openTree(stage, { clone: true, recursive: true });
}

function mountOne(asked: RootfsMount, target: string): void {
  const { type, source } = asked;
  try {
    const { maps, options } = takeMaps(asked.options);
    if (maps !== undefined) return mountMapped({ ...asked, options }, { maps, stage: target });
    const { flags, cleared, data } = parseMountOptions(options);
    if (type === "bind" || (flags & MS.BIND) !== 0) {
      bindMount(source, target, { recursive: (flags & MS.REC) !== 0 });
      const change = flags & ~(MS.BIND | MS.REC);
      if (change !== 0 || cleared !== 0) remountBind(target, { flags: change, cleared });
      return;
    }
    const { directory, data: short } = shortenOverlay(data);
    if (directory === undefined) mount(source, target, { type, flags, data });
    else mountFrom(directory, { source, target, type, flags, data: short });
  } catch (cause) {
    throw new Error(`Cannot mount the root file system (${type} ${quoted(source)})`, { cause });
  }
}
