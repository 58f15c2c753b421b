/** A file or directory of the host, shown to the guest through the shared directory. @module */
import { mountSetattr, openTree } from "../../linux/mount/mount_tree.ts";
import { MOUNT_ATTR, MS, parseMountOptions } from "../../linux/mount/mount_options.ts";
import type { Mount } from "../../oci/spec/spec.ts";
import { copyWithoutKernel } from "../kernel_mounts.ts";
import type { Source } from "./source.ts";
import { refuse, type Volume, type VolumeContext } from "./volume.ts";

/** Characters of the mount point's name that are kept, for people who look into the shared directory. */
const KEPT_NAME = 32;

/**
 * Nothing that happens here reaches the source. New mounts below the source appear in the guest as well, unless the mount
 * is private or read-only: they would come with the host's flags, and the guest is not trusted to keep its own.
 *
 * @throws {KataError} UNIMPLEMENTED: what is mounted within is to appear on the host, or the source is the end of
 * something that another kernel does not have.
 */
export function shareVolume(mount: Mount, source: Source, context: Pick<VolumeContext, "share" | "log">): Volume {
  const { options = [] } = mount;
  const { share, log } = context;
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
  const recursive = options.includes("rbind") || !options.includes("bind");
  const propagation = readOnly || options.some(isPrivate) ? MS.PRIVATE : MS.SLAVE;
  if (readOnly && options.some((option) => /^r?slave$/.test(option))) {
    log?.warning("What the host mounts later below a read-only volume does not appear in it", { volume: source.path });
  }
  using tree = recursive && source.kind === "directory"
    ? copyWithoutKernel(source.fd, { path: source.path, stage: share.stage, propagation, log })
    : openTree(source.fd, { clone: true });
  mountSetattr(tree, { propagation, recursive: true });
  const shown = share.show(tree, `${randomHex()}-${baseName(mount.destination)}`, { readOnly });
  return {
    mount: { ...mount, source: shown.guestPath },
    node: source.kind,
    [Symbol.dispose]: () => shown[Symbol.dispose](),
  };
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
