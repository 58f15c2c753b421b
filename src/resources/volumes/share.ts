/** A file or directory of the host, shown to the guest through the shared directory. @module */
import { mountSetattr, openTree } from "../../linux/mount/mount_tree.ts";
import { MOUNT_ATTR, MS, parseMountOptions } from "../../linux/mount/mount_options.ts";
import type { Logger } from "../../base/log.ts";
import type { Fd } from "../../linux/io/fd.ts";
import { copyWithoutKernel } from "../kernel_mounts.ts";
import { mapOwners } from "./mapped.ts";
import type { Source } from "./source.ts";
import { readyVolume, refuse, type VolumeHandler } from "./volume.ts";

/** Characters of the mount point's name that are kept, for people who look into the shared directory. */
const KEPT_NAME = 32;

/**
 * Takes all that no other handler takes. Nothing that happens here reaches the source. New mounts below the source appear
 * in the guest as well, unless the mount is private or read-only: they would come with the host's flags, and the guest is
 * not trusted to keep its own.
 *
 * Refused with UNIMPLEMENTED: what is mounted within is to appear on the host, or the source is the end of something that
 * another kernel does not have.
 */
export const shareVolume: VolumeHandler = {
  name: "share",
  matches: () => true,
  prepare({ mount, source, maps }, { share, log }) {
    const { options = [] } = mount;
    if (options.some((option) => /^r?shared$/.test(option))) {
      throw refuse(
        mount,
        "what is mounted in a virtual machine cannot appear on the host, which propagation in both directions is",
      );
    }
    if (source.kind !== "directory" && source.kind !== "file") {
      throw refuse(mount, `a ${source.kind} of the host leads nowhere in a virtual machine`);
    }
    const readOnly = isReadOnly(options);
    if (readOnly && options.some((option) => /^r?slave$/.test(option))) {
      log?.warning("What the host mounts later below a read-only volume does not appear in it", {
        volume: source.path,
      });
    }
    using tree = copySource(source, { options, readOnly, stage: share.stage, log });
    if (maps !== undefined) mapOwners(tree, maps);
    const shown = share.show(tree, `${randomHex()}-${baseName(mount.destination)}`, { readOnly });
    const side = { mount: { ...mount, source: shown.guestPath } };
    return readyVolume(this.name, side, { node: source.kind, undo: shown });
  },
};

interface CopyOptions {
  options: readonly string[];
  readOnly: boolean;
  stage: string;
  log: Logger | undefined;
}

function copySource({ fd, path, kind }: Source, { options, readOnly, stage, log }: CopyOptions): Fd {
  const recursive = options.includes("rbind") || !options.includes("bind");
  const propagation = readOnly || options.some(isPrivate) ? MS.PRIVATE : MS.SLAVE;
  using undo = new DisposableStack();
  const tree = undo.use(
    recursive && kind === "directory"
      ? copyWithoutKernel(fd, { path, stage, propagation, log })
      : openTree(fd, { clone: true }),
  );
  mountSetattr(tree, { propagation, recursive: true });
  undo.move();
  return tree;
}

/** Mounts below a read-only one are so too, as in the guest. */
function isReadOnly(options: readonly string[]): boolean {
  const { flags, recursive = { set: 0, clear: 0 } } = parseMountOptions(options);
  if ((recursive.clear & MOUNT_ATTR.RDONLY) !== 0) return false;
  return (flags & MS.RDONLY) !== 0 || (recursive.set & MOUNT_ATTR.RDONLY) !== 0;
}

function isPrivate(option: string): boolean {
  return /^r?(private|unbindable)$/.test(option);
}

/** Two mounts of a container may end alike. */
function randomHex(): string {
  return crypto.getRandomValues(new Uint8Array(4)).toHex();
}

function baseName(path: string): string {
  const name = path.replace(/\/+$/, "").split("/").at(-1) || "root";
  return [...name].slice(0, KEPT_NAME).join("");
}
