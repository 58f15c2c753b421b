/**
 * Mounting, unmounting and rearranging the mount tree of this process' mount namespace.
 *
 * @module
 */
import { errorChain } from "../../base/error.ts";
import { isErrno } from "../ffi/errno.ts";
import { bind, check, cstring } from "../ffi/libc.ts";
import { MS } from "./mount_options.ts";
import { outermostBelow, readMountInfo } from "./mountinfo.ts";
import { statfs } from "../fs/statfs.ts";
import { syscallNumber } from "../child_program/syscall_numbers.ts";

const libc = bind({
  mount: {
    parameters: [
      "buffer", // source
      "buffer", // target
      "buffer", // type
      "u64", // flags
      "buffer", // data
    ],
    result: "i32",
  },
  umount2: { parameters: ["buffer", /* target */ "i32" /* flags */], result: "i32" },
  pivotRoot: { name: "syscall", parameters: ["i64", "buffer", /* new_root */ "buffer" /* put_old */], result: "i64" },
});

/** Arguments of mount(2) besides source and target. @see {@link https://man7.org/linux/man-pages/man2/mount.2.html} */
export interface MountCall {
  /** File system type; none for a bind, move, remount or propagation change. */
  type?: string;
  /** `MS_*` bits. */
  flags?: number;
  /** Options of the file system, comma separated. */
  data?: string;
}

/** A mount that its owner detaches by scope, at once and even while it is busy. Ignore this object to keep it. */
export interface Mounted extends Disposable {
  readonly target: string;
}

/** mount(2) copies one page, of which the last byte is the NUL, and would silently cut what is longer. */
export const MAX_DATA_BYTES = 4095;

export interface MountEnds {
  source: string;
  target: string;
}

/** @throws {RangeError} Options do not fit the kernel's page. */
export function mustFit(data: string, { source, target }: MountEnds): void {
  const length = new TextEncoder().encode(data).length;
  if (length <= MAX_DATA_BYTES) return;
  const state = `${length} bytes of options, at most ${MAX_DATA_BYTES}`;
  throw new RangeError(`Cannot mount "${source}" on "${target}": ${state}`);
}

/**
 * Mounts, as mount(2) does.
 *
 * @param source Device, directory or a name for the mount table.
 * @throws {ErrnoError} `mount /dev/vda on /run: EBUSY`
 * @throws {RangeError} `data` does not fit the kernel's page.
 */
export function mount(source: string, target: string, call: MountCall = {}): Mounted {
  const { type = "", flags = 0, data = "" } = call;
  mustFit(data, { source, target });
  const [csource, ctarget, ctype, cdata] = [source, target, type, data].map(cstring) as [Text, Text, Text, Text];
  const what = source === "" ? target : `${source} on ${target}`;
  check("mount", () => libc.mount(csource, ctarget, ctype, flags, data === "" ? null : cdata), what);
  return { target, [Symbol.dispose]: () => void detachOne(target) };
}

type Text = Uint8Array<ArrayBuffer>;

/** How a bind mount differs from its source. */
export interface BindOptions {
  /** With all mounts below the source. */
  recursive?: boolean;
  /** The mount itself only, not those below. */
  readOnly?: boolean;
}

/** Shows a file or directory at another place as well. Source and target are both files or both directories. */
export function bindMount(source: string, target: string, options: BindOptions = {}): Mounted {
  using undo = new DisposableStack();
  const mounted = undo.use(mount(source, target, { flags: MS.BIND | (options.recursive ? MS.REC : 0) }));
  if (options.readOnly) remountBind(target, { flags: MS.RDONLY });
  undo.move();
  return mounted;
}

/**
 * Sets flags of a bind mount and keeps those it has, which a user namespace may not drop.
 *
 * @param change `cleared` flags are taken off.
 */
export function remountBind(target: string, change: { flags: number; cleared?: number }): void {
  const kept = statfs(target).mountFlags & ~(change.cleared ?? 0);
  mount("", target, { flags: MS.REMOUNT | MS.BIND | kept | change.flags });
}

/**
 * Changes who hears of mounts below `target`.
 *
 * @param flags `MS.SHARED`, `MS.SLAVE`, `MS.PRIVATE` or `MS.UNBINDABLE`, with `MS.REC` for the whole tree.
 */
export function setPropagation(target: string, flags: number): void {
  mount("", target, { flags });
}

/** How to let go of a mount. */
export interface UmountOptions {
  /** Take it out of sight at once, clean up when it is no longer busy. */
  detach?: boolean;
  /** Abort the requests of a server that does not answer. */
  force?: boolean;
}

const MNT_FORCE = 1;
const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;

/** Never follows a symbolic link at the end of `target`. @throws {ErrnoError} EINVAL: nothing is mounted there. */
export function umount(target: string, options: UmountOptions = {}): void {
  const flags = UMOUNT_NOFOLLOW | (options.detach ? MNT_DETACH : 0) | (options.force ? MNT_FORCE : 0);
  const ctarget = cstring(target);
  check("umount", () => libc.umount2(ctarget, flags), target);
}

/** Detaches the topmost mount at `target` with all that is mounted within. @returns False if there is none. */
export function detachOne(target: string): boolean {
  try {
    umount(target, { detach: true });
    return true;
  } catch (error) {
    if (isErrno(error, "EINVAL", "ENOENT")) return false;
    throw error;
  }
}

/**
 * Detaches every mount at and below `path` (absolute, without symbolic links).
 *
 * Only the outermost ones are named to the kernel, which takes along what is mounted within: the way to those leads
 * through directories that somebody else may write, and rename while this is read.
 *
 * @throws {AggregateError} What could not be unmounted; the rest is.
 */
export function umountTree(path: string): void {
  const errors: unknown[] = [];
  for (const mountPoint of outermostBelow(readMountInfo(), path)) {
    try {
      while (detachOne(mountPoint));
    } catch (cause) {
      errors.push(new Error(`Cannot unmount "${mountPoint}"`, { cause }));
    }
  }
  if (errors.length > 0) throw new AggregateError(errors, errors.map(errorChain).join("; "));
}

/** Makes `newRoot`, a mount point, the root; the old root then lies at `putOld`, which may be `newRoot` itself. */
export function pivotRoot(newRoot: string, putOld: string): void {
  const [cnew, cold] = [cstring(newRoot), cstring(putOld)];
  check("pivot_root", () => libc.pivotRoot(syscallNumber("pivot_root"), cnew, cold), `${newRoot} ${putOld}`);
}
