/** The kinds of root file systems. @module */
import type { HandlerList, HostResource } from "../resource.ts";
import { blockRootfs } from "./block.ts";
import type { Rootfs, RootfsContext, RootfsSide } from "./rootfs.ts";
import { sharedRootfs } from "./share.ts";

export const ROOTFS: HandlerList<Rootfs, RootfsContext, HostResource<RootfsSide>> = {
  kind: "root file system",
  handlers: [blockRootfs, sharedRootfs],
  describe: ({ mounts, path }) => mounts.length === 0 ? path : mounts.map(({ type }) => type).join(", "),
};
