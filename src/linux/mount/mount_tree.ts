/**
 * Mount trees by descriptor: copies that are in no directory yet, so that they can be changed before anybody sees them.
 * `mount.ts` mounts by path, at once for everybody to see, and unmounts.
 *
 * @module
 */
import { AT_EMPTY_PATH, AT_FDCWD, Fd, O_CLOEXEC } from "../io/fd.ts";
import { bind, check, cstring } from "../ffi/libc.ts";
import { detachOne, type Mounted } from "./mount.ts";
import { AT_RECURSIVE, MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_T_EMPTY_PATH, OPEN_TREE_CLONE } from "./mount_options.ts";
import { syscallNumber } from "../child_program/syscall_numbers.ts";

const libc = bind({
  openTree: {
    name: "syscall",
    parameters: ["i64", "i32", /* dfd */ "buffer", /* path */ "u32" /* flags */],
    result: "i64",
  },
  moveMount: {
    name: "syscall",
    parameters: ["i64", "i32", /* from_dfd */ "buffer", "i32", /* to_dfd */ "buffer", "u32" /* flags */],
    result: "i64",
  },
  mountSetattr: {
    name: "syscall",
    parameters: ["i64", "i32", /* dfd */ "buffer", "u32", /* flags */ "buffer", /* struct mount_attr */ "usize"],
    result: "i64",
  },
});

/** Whether to open a mount or a copy of it. */
export interface OpenTreeOptions {
  /** Make a detached copy, to be mounted with {@linkcode moveMount}; otherwise it is a handle on the mount itself. */
  clone?: boolean;
  /** Copy the mounts below as well. */
  recursive?: boolean;
}

/**
 * Opens a mount, or copies one.
 *
 * @param source A path, or what is open already.
 * @see {@link https://man7.org/linux/man-pages/man2/open_tree.2.html}
 */
export function openTree(source: string | Fd, options: OpenTreeOptions = {}): Fd {
  const isPath = typeof source === "string";
  const flags = O_CLOEXEC | (isPath ? 0 : AT_EMPTY_PATH) | (options.clone ? OPEN_TREE_CLONE : 0) |
    (options.recursive ? AT_RECURSIVE : 0);
  const [directory, path] = isPath ? [AT_FDCWD, cstring(source)] : [source.number, cstring("")];
  const open = () => libc.openTree(syscallNumber("open_tree"), directory, path, flags);
  return new Fd(check("open_tree", open, isPath ? source : undefined));
}

/** Puts a detached tree in place, in the mount namespace that this thread is in now. */
export function moveMount(tree: Fd, target: string): Mounted {
  const [empty, ctarget] = [cstring(""), cstring(target)];
  check(
    "move_mount",
    () => libc.moveMount(syscallNumber("move_mount"), tree.number, empty, AT_FDCWD, ctarget, MOVE_MOUNT_F_EMPTY_PATH),
    target,
  );
  return { target, [Symbol.dispose]: () => void detachOne(target) };
}

/** Puts a detached tree on what is open, wherever that is by now. Its owner unmounts it. */
export function mountTree(tree: Fd, target: Fd): void {
  const flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
  const empty = cstring("");
  check("move_mount", () => {
    return libc.moveMount(syscallNumber("move_mount"), tree.number, empty, target.number, empty, flags);
  });
}

/** Attributes to change on a mount, or on the whole tree below it. */
export interface MountAttributes {
  /** `MOUNT_ATTR_*` bits. */
  set?: number;
  clear?: number;
  /** `MS.SHARED`, `MS.SLAVE`, `MS.PRIVATE` or `MS.UNBINDABLE`. */
  propagation?: number;
  /** The user namespace whose id maps the mount takes on; set `MOUNT_ATTR.IDMAP`. Only for a detached mount. */
  userNamespace?: Fd;
  recursive?: boolean;
}

/**
 * Changes all of a tree or nothing.
 *
 * @param target A path, or a tree from {@linkcode openTree}.
 * @see https://man7.org/linux/man-pages/man2/mount_setattr.2.html
 */
export function mountSetattr(target: string | Fd, attributes: MountAttributes): void {
  const { set = 0, clear = 0, propagation = 0, userNamespace, recursive = false } = attributes;
  const values = BigUint64Array.of(BigInt(set), BigInt(clear), BigInt(propagation), BigInt(userNamespace?.number ?? 0));
  const isPath = typeof target === "string";
  const cpath = cstring(isPath ? target : "");
  const flags = (isPath ? 0 : AT_EMPTY_PATH) | (recursive ? AT_RECURSIVE : 0);
  const directory = isPath ? AT_FDCWD : target.number;
  check(
    "mount_setattr",
    () => libc.mountSetattr(syscallNumber("mount_setattr"), directory, cpath, flags, values, values.byteLength),
    isPath ? target : undefined,
  );
}
