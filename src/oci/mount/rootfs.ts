/**
 * Steps that work inside the container's root directory before it is the root. Every path goes through openat2(2) with
 * RESOLVE_IN_ROOT: whatever `..` and links the image holds, nothing leaves the root file system (B5).
 *
 * @see https://man7.org/linux/man-pages/man2/openat2.2.html
 * @module
 */
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_WRONLY,
} from "../../linux/io/fd.ts";
import { OPEN_HOW_SIZE, openHow, RESOLVE } from "../../linux/fs/in_root.ts";
import {
  AT_RECURSIVE,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  MS,
  OPEN_TREE_CLONE,
} from "../../linux/mount/mount_options.ts";
import type { CallOptions, Slot } from "../../linux/child_program/call.ts";
import type { Call, SyscallProgram } from "../../linux/child_program/program.ts";

export interface OpenInsideOptions {
  /** `O_*`; O_PATH without it. */
  flags?: number;
  /** Refuse links on the way. */
  noLinks?: boolean;
  /** Where the descriptor goes; without it, a slot of its own. */
  into?: Slot;
  call?: CallOptions;
}

/** Changes of mount_setattr(2). */
export interface AttributeChange {
  set?: number;
  clear?: number;
  propagation?: number;
  recursive?: boolean;
}

/** The root directory of a container that is being made. Paths are relative to it, a leading slash makes no difference. */
export class RootDirectory {
  readonly #steps: SyscallProgram;
  readonly #handle: number;
  /** Directories that are there once the steps so far have run, so that none is made twice. */
  readonly #made = new Set<string>();
  /** Addresses of `struct open_how`, by what it says. */
  readonly #hows = new Map<number, number>();
  readonly #path: string;
  #isPrivate = false;
  /** The descriptor of the root: a mount of its own. */
  readonly fd: Slot;

  /**
   * Adds the steps that make `path` a mount point of its own, as pivot_root(2) demands, and open it.
   *
   * @param handle A descriptor number that nothing else in the child uses, for paths such as `/proc/self/fd/999`.
   */
  constructor(steps: SyscallProgram, { path, handle }: { path: string; handle: number }) {
    this.#steps = steps;
    this.#handle = handle;
    this.#path = path;
    this.fd = steps.slot();
    const flags = OPEN_TREE_CLONE | O_CLOEXEC | AT_RECURSIVE;
    steps.call("open_tree", [AT_FDCWD, path, flags], { label: `open root ${path}`, result: this.fd });
    const label = `mount root ${path} on itself`;
    steps.call("move_mount", [this.fd, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH], { label });
  }

  /** Opens what is there. @returns Where the descriptor will be. */
  open(path: string, options: OpenInsideOptions = {}): Slot {
    const { call, result } = this.#openCall(path, options);
    this.#steps.call(call.name, call.args, call.options);
    return result;
  }

  /** Opens what is there and goes on with it; if it is not there, leaves that out. The descriptor is closed after. */
  ifThere(path: string, then: (fd: Slot) => void): void {
    const { call, result } = this.#openCall(path, { call: { ignore: ["ENOENT", "ENOTDIR", "ELOOP", "EACCES"] } });
    this.#steps.callThen(call, () => {
      then(result);
      this.#steps.close(result);
    });
  }

  #openCall(path: string, options: OpenInsideOptions): { call: Call; result: Slot } {
    const { flags = O_PATH, noLinks = false, into: result = this.#steps.slot(), call = {} } = options;
    const args = [this.fd, relative(path), this.#how(flags, noLinks ? RESOLVE.NO_SYMLINKS : 0), OPEN_HOW_SIZE];
    return { call: { name: "openat2", args, options: { label: `open ${path}`, ...call, result } }, result };
  }

  #how(flags: number, resolve: number): number {
    const key = flags * 0x100 + resolve;
    const known = this.#hows.get(key) ?? this.#steps.bytes(openHow({ flags, resolve }));
    this.#hows.set(key, known);
    return known;
  }

  /** Makes a directory with all those above it, unless it is there. */
  makeDirectories(path: string, options: CallOptions = {}): void {
    const parts = split(path);
    const whole = parts.join("/");
    if (this.#has(whole)) return;
    if (this.#has(parts.slice(0, -1).join("/"))) this.#walk(parts, options);
    else {
      const { call, result } = this.#openCall(path, { call: { ignore: ["ENOENT"] } });
      // Usually all of it is there: one look then saves the walk.
      this.#steps.callOrElse(call, () => this.#walk(parts, options));
      this.#steps.close(result);
    }
    this.#made.add(whole);
  }

  #has(path: string): boolean {
    return path === "" || this.#made.has(path);
  }

  /** From the deepest directory on that is known to be there. */
  #walk(parts: readonly string[], options: CallOptions): void {
    const path = (length: number) => parts.slice(0, length).join("/");
    const flags = O_PATH | O_DIRECTORY;
    const ignore = options.ignore ?? ["EEXIST"];
    let length = parts.length - 1;
    while (!this.#has(path(length))) length--;
    for (; length < parts.length; length++) {
      const parent = length === 0 ? this.fd : this.open(path(length), { flags, call: options });
      const label = `make directory ${path(length + 1)}`;
      this.#steps.call("mkdirat", [parent, parts[length]!, 0o755], { label, ...options, ignore });
      if (length > 0) this.#steps.close(parent);
    }
  }

  /** To be told of a mount at `path`: what it hides may have to be made again. One on the root is the root from now on. */
  cover(path: string): void {
    if (split(path).length === 0) return this.#takeCover();
    const prefix = `${split(path).join("/")}/`;
    for (const made of this.#made) if (made.startsWith(prefix)) this.#made.delete(made);
  }

  #takeCover(): void {
    this.#made.clear();
    this.#steps.close(this.fd);
    const flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
    this.#steps.call("openat", [AT_FDCWD, this.#path, flags, 0], { label: "open root", result: this.fd });
    if (this.#isPrivate) this.makePrivate();
  }

  /** Keeps mounts on the root, and on one that covers it, from appearing anywhere else from now on. */
  makePrivate(): void {
    this.#isPrivate = true;
    this.setAttributes(this.fd, { propagation: MS.PRIVATE }, { label: "make root private" });
  }

  /** Goes on in the directory of a path, which is made if it is not there. */
  inDirectoryOf(path: string, then: (directory: Slot, name: string) => void): void {
    const parts = split(path);
    const name = parts.pop() ?? "";
    this.makeDirectories(parts.join("/"));
    const directory = this.open(parts.join("/"), { flags: O_PATH | O_DIRECTORY });
    then(directory, name);
    this.#steps.close(directory);
  }

  /** Makes an empty file to mount on, unless something is there. */
  makeFile(path: string): void {
    const { call, result } = this.#openCall(path, { call: { ignore: ["ENOENT"] } });
    const flags = O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC;
    this.#steps.callOrElse(call, () => {
      this.inDirectoryOf(path, (directory, name) => {
        const made = this.#steps.slot();
        const label = `make file ${path}`;
        this.#steps.call("openat", [directory, name, flags, 0o755], { label, result: made, ignore: ["EEXIST"] });
        this.#steps.close(made);
      });
    });
    this.#steps.close(result);
  }

  /** A path that leads to `fd`, for calls that take no descriptor, until the next call of this. */
  pathTo(fd: Slot): string {
    this.#steps.call("dup3", [fd, this.#handle, O_CLOEXEC]);
    return `/proc/self/fd/${this.#handle}`;
  }

  /** A detached copy of what `fd` stands for, with all mounts below it. @returns Its descriptor. */
  cloneTree(fd: Slot, label: string): Slot {
    const tree = this.#steps.slot();
    const flags = OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE;
    this.#steps.call("open_tree", [fd, "", flags], { label, result: tree });
    return tree;
  }

  /** Puts a detached tree in place and closes its descriptor. */
  place(tree: Slot, target: Slot, options: CallOptions): void {
    const flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
    this.#steps.call("move_mount", [tree, "", target, "", flags], options);
    this.#steps.close(tree);
  }

  /** Changes the mount that `fd` is the root of. */
  setAttributes(fd: Slot, change: AttributeChange, options: CallOptions): void {
    const { set = 0, clear = 0, propagation = 0, recursive = false } = change;
    // struct mount_attr: four u64, whose upper halves are not used.
    const attributes = new Uint8Array(Uint32Array.of(set, 0, clear, 0, propagation, 0, 0, 0).buffer);
    const flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);
    this.#steps.call("mount_setattr", [fd, "", flags, attributes, attributes.length], options);
  }
}

/** The parts of a path, without empty ones. */
export function split(path: string): string[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}

/** openat2 in a root takes a leading slash too, but never the empty path. */
function relative(path: string): string {
  return split(path).join("/") || ".";
}
