/**
 * Files that the host sends into the guest.
 *
 * Containers can write into the shared directory too, so nothing in it is trusted: every directory is opened from the
 * one above it, no link is ever followed (B8), and only then is a file made in it by its last name. The new file gets
 * its content, owner and mode by its descriptor: its name may lead to a neighbour's file a moment later (F17).
 *
 * @module
 */
import { KataError } from "../../base/error.ts";
import { ErrnoError, isErrno } from "../../linux/ffi/errno.ts";
import { Fd, O_CREAT, O_EXCL, O_NOFOLLOW, O_PATH, O_WRONLY, pathOf } from "../../linux/io/fd.ts";
import { makeDirectoryIn, makeGuarded } from "../../linux/fs/guarded_path.ts";
import { removeTree } from "../../linux/fs/remove_tree.ts";
import type { Copy } from "./copy_request.ts";

/** Where a name lies: its directory, held open so that nobody can swap it, and the name in it. */
interface Place extends Disposable {
  directory: Fd;
  name: string;
}

/**
 * Carries out one request below `sharedDir`.
 *
 * @throws {KataError} PERMISSION_DENIED if the path leads through a link; nothing is written then.
 */
export function copyInto(sharedDir: string, copy: Copy): void {
  const shown = JSON.stringify(copy.elements.join("/"));
  try {
    using place = openPlace(sharedDir, copy);
    KINDS[copy.kind](place, copy as never);
  } catch (cause) {
    if (cause instanceof ErrnoError && isErrno(cause, "ELOOP", "ENOTDIR", "EXDEV")) {
      const why = "its parent is a link or no directory";
      throw new KataError("PERMISSION_DENIED", `Cannot copy to ${shown} in the shared directory: ${why}`, { cause });
    }
    throw new Error(`Cannot copy to ${shown} in the shared directory`, { cause });
  }
}

type CopyOf<K extends Copy["kind"]> = Extract<Copy, { kind: K }>;

const KINDS = {
  directory: makeDirectory,
  symlink: makeLink,
  file: writeFile,
} satisfies { [K in Copy["kind"]]: (place: Place, copy: CopyOf<K>) => void };

function openPlace(sharedDir: string, copy: Copy): Place {
  let { directory } = makeGuarded({ base: sharedDir, links: "none" });
  for (const element of copy.elements.slice(0, -1)) {
    using parent = directory;
    directory = openParent(parent, element, copy);
  }
  return { directory, name: copy.elements.at(-1)!, [Symbol.dispose]: () => directory[Symbol.dispose]() };
}

function openParent(above: Fd, name: string, copy: Copy): Fd {
  using undo = new DisposableStack();
  const { directory, isMade } = makeDirectoryIn(above, name);
  undo.use(directory);
  if (isMade) setOwnerAndMode(directory, { ...copy, mode: copy.parentMode });
  undo.move();
  return directory;
}

function makeDirectory({ directory, name }: Place, copy: CopyOf<"directory">): void {
  using made = directoryInPlace(directory, name);
  setOwnerAndMode(made, copy);
}

function directoryInPlace(parent: Fd, name: string): Fd {
  try {
    return makeDirectoryIn(parent, name).directory;
  } catch (error) {
    if (!isErrno(error, "ELOOP", "ENOTDIR")) throw error;
    removeTree(parent, name);
    return makeDirectoryIn(parent, name).directory;
  }
}

function makeLink(place: Place, copy: CopyOf<"symlink">): void {
  const temporary = temporaryName(place.name);
  removeTree(place.directory, temporary);
  Deno.symlinkSync(copy.target, `${pathOf(place.directory)}/${temporary}`);
  using made = openOwn(place.directory, temporary, "isSymlink");
  setOwner(made, copy);
  moveInPlace(place, temporary);
}

/** Pieces gather in a file beside the target, which readers never see half written. */
function writeFile(place: Place, copy: CopyOf<"file">): void {
  const temporary = temporaryName(place.name);
  using piece = copy.offset === 0
    ? createNew(place.directory, temporary)
    : openOwn(place.directory, temporary, "isFile");
  using file = Deno.openSync(pathOf(piece), { write: true });
  file.seekSync(copy.offset, Deno.SeekMode.Start);
  for (let rest = copy.data; rest.length > 0;) rest = rest.subarray(file.writeSync(rest));
  if (copy.offset + copy.data.length < copy.size) return;
  setOwnerAndMode(piece, copy);
  moveInPlace(place, temporary);
}

/** An exclusive creation never follows a link that somebody put there meanwhile. */
function createNew(directory: Fd, name: string): Fd {
  removeTree(directory, name);
  return Fd.openAt(directory, name, { flags: O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600 });
}

/** Opens a file that we began. It has no other name yet: a file with two was put in its place by somebody else. */
function openOwn(directory: Fd, name: string, kind: "isFile" | "isSymlink"): Fd {
  using undo = new DisposableStack();
  const found = undo.use(Fd.openAt(directory, name, { flags: O_PATH | O_NOFOLLOW }));
  const info = Deno.statSync(pathOf(found));
  if (!info[kind] || info.nlink !== 1 || info.uid !== Deno.uid()) {
    throw new KataError("PERMISSION_DENIED", "Cannot go on: not the file that was begun");
  }
  undo.move();
  return found;
}

function moveInPlace({ directory, name }: Place, temporary: string): void {
  const [from, to] = [temporary, name].map((one) => `${pathOf(directory)}/${one}`) as [string, string];
  try {
    Deno.renameSync(from, to);
  } catch (error) {
    if (!isErrno(error, "EISDIR", "ENOTEMPTY", "EEXIST")) throw error;
    removeTree(directory, name);
    Deno.renameSync(from, to);
  }
}

function setOwnerAndMode(file: Fd, copy: Pick<Copy, "uid" | "gid" | "mode">): void {
  setOwner(file, copy);
  Deno.chmodSync(pathOf(file), copy.mode); // after chown(2), which clears set-id bits
}

function setOwner(file: Fd, { uid, gid }: Pick<Copy, "uid" | "gid">): void {
  if (uid === undefined && gid === undefined) return;
  Deno.chownSync(pathOf(file), uid ?? null, gid ?? null);
}

/** Bounded, as the name itself may be as long as a name can be; the hash keeps names with one beginning apart. */
function temporaryName(name: string): string {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return `.${name.slice(0, 48)}.${hash.toString(16)}.kata-copy`;
}
