/**
 * The directory that the host shares with the guest by virtio-fs, and the mounts in it.
 *
 * The guest is not trusted, and works in what is shared as root. So the host works in a directory of its own, `mounts/`,
 * and the guest gets `shared/`, another view of it whose top is read-only: nobody in the guest makes, renames or removes
 * anything where the host will mount next (the class of CVE-2020-2026). A mount in the one appears in the other, with
 * the flags that it has by then.
 *
 * @module
 */
import { mkdirAt, type RawName, rawName, rmdirAt, unlinkAt } from "../linux/fs/directory.ts";
import { isErrno } from "../linux/ffi/errno.ts";
import { Fd, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_PATH, O_WRONLY, pathOf } from "../linux/io/fd.ts";
import { openInRoot, RESOLVE } from "../linux/fs/in_root.ts";
import { bindMount, detachOne, setPropagation, umountTree } from "../linux/mount/mount.ts";
import { mountSetattr, mountTree, openTree } from "../linux/mount/mount_tree.ts";
import { MOUNT_ATTR, MS } from "../linux/mount/mount_options.ts";
import { removePath } from "../linux/fs/remove_tree.ts";
import { GUEST_PATH } from "../agent_api/names.ts";
import { CommonTrees, type SharedTree } from "./common_trees.ts";

export type { SharedTree } from "./common_trees.ts";

/** How the guest may use what it is shown, whatever its own mounts say. */
export interface ShowOptions {
  /** With all that is mounted within by now. */
  readOnly: boolean;
}

/** A tree that several containers may have. */
export interface CommonWish extends ShowOptions {
  keys: readonly string[];
  make: () => Fd;
  /** For people who look into the shared directory. */
  name: string;
}

/** The guest's root makes programs that change the user, and devices: nobody on the host uses them by this way. */
const UNTRUSTED = MOUNT_ATTR.NOSUID | MOUNT_ATTR.NODEV;

/** On the way to where the host mounts there is nothing else than what it made itself. */
const NO_WAY_OUT = RESOLVE.NO_SYMLINKS | RESOLVE.NO_MAGICLINKS | RESOLVE.NO_XDEV;

/** One sandbox's shared directory. Disposing it unmounts everything below it and removes it. */
export class SharedDirectory implements Disposable {
  /** Directory that virtiofsd exports. */
  readonly source: string;
  /** For file systems that have to be mounted somewhere before they are shown; mounts here are seen nowhere else. */
  readonly stage: string;
  readonly #directory: string;
  /** Where the host works. */
  readonly #host: Fd;

  /** @param root Directory of all sandboxes, such as `/run/kata-containers/shared/sandboxes`. */
  constructor(root: string, sandboxId: string) {
    this.#directory = `${root}/${sandboxId}`;
    this.source = `${this.#directory}/shared`;
    this.stage = `${this.#directory}/stage`;
    using undo = new DisposableStack();
    undo.defer(() => removeShared(this.#directory));
    makeDirectories(this.#directory);
    // A mount with a peer group of its own: nothing of it reaches the mount that the directory is on.
    bindMount(this.#directory, this.#directory);
    setPropagation(this.#directory, MS.PRIVATE);
    setPropagation(this.#directory, MS.SHARED);
    this.#host = undo.use(Fd.open(`${this.#directory}/mounts/passthrough`, O_PATH | O_DIRECTORY | O_NOFOLLOW));
    makeGuestView(`${this.#directory}/mounts`, this.source);
    undo.move();
  }

  /** Trees that several containers have. */
  readonly common: CommonTrees = new CommonTrees();
  #forAll: ContainerShare | undefined;

  /** The place for what several containers have; no id begins with a dot. */
  get forAll(): ContainerShare {
    this.#forAll ??= this.container(".volumes");
    return this.#forAll;
  }

  /** Makes the place for what one container has. @throws {ErrnoError} EEXIST */
  container(id: string): ContainerShare {
    return new ContainerShare(this, { id, host: this.#host });
  }

  [Symbol.dispose](): void {
    if (!this.#host.isOpen) return;
    this.#host[Symbol.dispose]();
    this.#forAll?.[Symbol.dispose]();
    removeShared(this.#directory);
  }
}

/** The part of the shared directory that is one container's. Disposing it removes that part. */
export class ContainerShare implements Disposable {
  readonly #share: SharedDirectory;
  readonly #id: string;
  readonly #host: Fd;
  readonly #directory: Fd;

  /** Use {@linkcode SharedDirectory.container}. */
  constructor(share: SharedDirectory, { id, host }: { id: string; host: Fd }) {
    this.#share = share;
    this.#id = id;
    this.#host = host;
    mkdirAt(host, id, 0o755);
    this.#directory = openInRoot(host, id, { flags: O_PATH | O_DIRECTORY, resolve: NO_WAY_OUT });
  }

  get stage(): string {
    return this.#share.stage;
  }

  /**
   * Shows a tree that other containers of the sandbox may have as well. It is shown once, and as long as any of them has it.
   *
   * @param wish.keys Of trees that will do, the best one first; a new one gets the last.
   * @param wish.make Makes the tree, if none of them is shown yet; it is disposed then.
   */
  showOnce({ keys, make, name, readOnly }: CommonWish): SharedTree {
    const { common, forAll } = this.#share;
    return common.find(keys) ?? common.add(keys.at(-1)!, (number) => {
      using tree = make();
      return forAll.show(tree, `${number}-${name}`, { readOnly });
    });
  }

  /**
   * Shows a detached tree to the guest, at once and with its final flags.
   *
   * @param tree Remains the caller's; its mounts get flags.
   * @param name One component, of 255 bytes at most.
   * @throws {ErrnoError} EEXIST: there is something of this name. Nothing is left behind.
   */
  show(tree: Fd, name: string, { readOnly }: ShowOptions): SharedTree {
    mountSetattr(tree, { set: UNTRUSTED | (readOnly ? MOUNT_ATTR.RDONLY : 0), recursive: true });
    const { isDirectory } = Deno.statSync(pathOf(tree));
    using undo = new DisposableStack();
    if (isDirectory) mkdirAt(this.#directory, name, 0o755);
    else Fd.openAt(this.#directory, name, { flags: NEW_FILE, mode: 0o644 })[Symbol.dispose]();
    undo.defer(() => this.#remove(rawName(name), isDirectory ? rmdirAt : unlinkAt));
    using point = openInRoot(this.#directory, name, { flags: O_PATH | O_NOFOLLOW, resolve: NO_WAY_OUT });
    mountTree(tree, point);
    // The guest's inode cache keeps files open in virtiofsd: without detaching, a live guest makes this EBUSY.
    undo.defer(() => void (this.#directory.isOpen && detachOne(`${pathOf(this.#directory)}/${name}`)));
    const resources = undo.move();
    return { guestPath: `${GUEST_PATH.passthrough}/${this.#id}/${name}`, [Symbol.dispose]: () => resources.dispose() };
  }

  [Symbol.dispose](): void {
    if (!this.#directory.isOpen) return;
    this.#directory[Symbol.dispose]();
    // With the sandbox all of it is gone.
    if (this.#host.isOpen) unlessGone(() => rmdirAt(this.#host, rawName(this.#id)));
  }

  #remove(name: RawName, remove: typeof rmdirAt): void {
    if (this.#directory.isOpen) unlessGone(() => remove(this.#directory, name));
  }
}

const NEW_FILE = O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY;

function unlessGone(remove: () => void): void {
  try {
    remove();
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
  }
}

/** Makes the sandbox's directories. Only root gets into the top one; within, modes are what the guest's users see. */
function makeDirectories(directory: string): void {
  Deno.mkdirSync(directory.slice(0, directory.lastIndexOf("/")), { recursive: true, mode: 0o750 });
  makeOwn(directory);
  for (const name of ["mounts", "mounts/passthrough", "shared"]) {
    Deno.mkdirSync(`${directory}/${name}`, { mode: 0o755 });
  }
  Deno.mkdirSync(`${directory}/stage`, { mode: 0o700 });
}

function makeOwn(directory: string): void {
  try {
    Deno.mkdirSync(directory, { mode: 0o700 });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    // Left by a shim that crashed: no sandbox of this id is running.
    removeShared(directory);
    Deno.mkdirSync(directory, { mode: 0o700 });
  }
}

/** Makes the guest's view, which receives mounts made in `mounts` and gives none back. Flags are for the top alone. */
function makeGuestView(mounts: string, view: string): void {
  using target = Fd.open(view, O_PATH | O_DIRECTORY | O_NOFOLLOW);
  using tree = openTree(mounts, { clone: true });
  mountSetattr(tree, { set: MOUNT_ATTR.RDONLY | MOUNT_ATTR.NOEXEC | UNTRUSTED });
  mountTree(tree, target);
  mountSetattr(tree, { propagation: MS.SLAVE });
}

/**
 * Unmounts everything at or below a shared directory and removes it. Needs nothing but the path, which only the host's
 * root can write to, so that a crashed shim's directory can be removed by another process. A missing directory is no
 * error (B38).
 *
 * @throws {Error} An entry stays. A directory with a mount on it, perhaps of a container's files, is never emptied.
 */
export function removeShared(directory: string): void {
  umountTree(directory);
  removePath(directory);
}
