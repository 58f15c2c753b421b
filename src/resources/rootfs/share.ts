/** A container's root file system, mounted on the host where the guest sees it. @module */
import { bindMount, mount, remountBind, setPropagation } from "../../linux/mount.ts";
import { MS, parseMountOptions } from "../../linux/mount_options.ts";
import { type SharedDirectory, type SharedPath, unmountBelow } from "../share_fs.ts";
import { shortenOverlay } from "./overlay.ts";

/** One mount of a snapshot, as the engine describes it; several of them are put on each other. */
export interface RootfsMount {
  /** `overlay`, `bind`, or a file system on a block device. */
  type: string;
  source: string;
  options: readonly string[];
}

export interface RootfsOptions {
  containerId: string;
  /** None: the engine has mounted it already at `path`. */
  mounts: readonly RootfsMount[];
  /** Absolute path of the root file system in the bundle. */
  path: string;
}

/** A root file system in the guest. Disposing it unmounts it. */
export interface Rootfs extends Disposable {
  readonly guestPath: string;
}

/** @throws {Error} Naming the mount that failed; nothing stays mounted. */
export function shareRootfs(share: SharedDirectory, options: RootfsOptions): Rootfs {
  const target = share.path(`${options.containerId}/rootfs`);
  using undo = new DisposableStack();
  Deno.mkdirSync(target.host, { recursive: true });
  undo.defer(() => removeRootfs(target));
  if (options.mounts.length === 0) bindMount(options.path, target.host, { recursive: true });
  for (const each of options.mounts) mountOne(each, target.host);
  // What is unmounted here later must not be unmounted where it came from.
  setPropagation(target.host, MS.SLAVE | MS.REC);
  const resources = undo.move();
  return { guestPath: target.guest, [Symbol.dispose]: () => resources.dispose() };
}

function removeRootfs(target: SharedPath): void {
  unmountBelow(target.host);
  Deno.removeSync(target.host);
  Deno.removeSync(target.host.slice(0, target.host.lastIndexOf("/")));
}

function mountOne({ type, source, options }: RootfsMount, target: string): void {
  try {
    const { flags, cleared, data } = parseMountOptions(options);
    if (type === "bind" || (flags & MS.BIND) !== 0) {
      bindMount(source, target, { recursive: (flags & MS.REC) !== 0 });
      const change = flags & ~(MS.BIND | MS.REC);
      if (change !== 0 || cleared !== 0) remountBind(target, { flags: change, cleared });
      return;
    }
    const { directory, data: short } = shortenOverlay(data);
    if (directory === undefined) return void mount(source, target, { type, flags, data });
    // Relative paths of an overlay start at the working directory. Nothing else can run in between.
    const before = Deno.cwd();
    Deno.chdir(directory);
    try {
      mount(source, target, { type, flags, data: short });
    } finally {
      Deno.chdir(before);
    }
  } catch (cause) {
    throw new Error(`Cannot mount the root file system (${type} "${source}")`, { cause });
  }
}
