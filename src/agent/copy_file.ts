/**
 * Files that the host sends into the guest.
 *
 * Containers can write into the shared directory too, so nothing in it is trusted: every directory is opened from the
 * one above it, no link is ever followed (B8), and only then is something made in it by its last name.
 *
 * @module
 */
import { KataError } from "../base/error.ts";
import { ErrnoError, isErrno } from "../linux/errno.ts";
import { Fd, O_DIRECTORY, O_NOFOLLOW, O_PATH } from "../linux/fd.ts";
import { openInRoot, RESOLVE } from "../linux/in_root.ts";
import type { Copy } from "./copy_request.ts";

/** Where a name lies: its directory, held open so that nobody can swap it, and the name in it. */
interface Place extends Disposable {
  directory: Fd;
  name: string;
  /** A path that the kernel resolves through the open directory. */
  path(name?: string): string;
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
  Deno.mkdirSync(sharedDir, { recursive: true });
  let directory = Fd.open(sharedDir, O_PATH | O_DIRECTORY);
  try {
    for (const element of copy.elements.slice(0, -1)) {
      const next = openDirectory(directory, element, copy);
      directory[Symbol.dispose]();
      directory = next;
    }
  } catch (error) {
    directory[Symbol.dispose]();
    throw error;
  }
  const name = copy.elements.at(-1)!;
  return {
    directory,
    name,
    path: (other = name) => through(directory, other),
    [Symbol.dispose]: () => directory[Symbol.dispose](),
  };
}

function openDirectory(parent: Fd, name: string, copy: Copy): Fd {
  const flags = O_PATH | O_DIRECTORY | O_NOFOLLOW;
  try {
    return openInRoot(parent, name, { flags, resolve: RESOLVE.NO_SYMLINKS });
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
  }
  Deno.mkdirSync(through(parent, name));
  const directory = openInRoot(parent, name, { flags, resolve: RESOLVE.NO_SYMLINKS });
  setOwnerAndMode(directory, { ...copy, mode: copy.parentMode });
  return directory;
}

/** `/proc/self/fd/N` leads to the very directory, whatever has become of its path. */
function through(directory: Fd, name: string): string {
  return `/proc/self/fd/${directory.number}/${name}`;
}

function makeDirectory(place: Place, copy: CopyOf<"directory">): void {
  try {
    Deno.mkdirSync(place.path());
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    if (!Deno.lstatSync(place.path()).isDirectory) {
      Deno.removeSync(place.path());
      Deno.mkdirSync(place.path());
    }
  }
  using made = openInRoot(place.directory, place.name, {
    flags: O_PATH | O_DIRECTORY | O_NOFOLLOW,
    resolve: RESOLVE.NO_SYMLINKS,
  });
  setOwnerAndMode(made, copy);
}

function makeLink(place: Place, copy: CopyOf<"symlink">): void {
  const temporary = temporaryName(place.name);
  removeIfThere(place.path(temporary));
  Deno.symlinkSync(copy.target, place.path(temporary));
  using made = Fd.openAt(place.directory, temporary, { flags: O_PATH | O_NOFOLLOW });
  setOwner(made, copy);
  moveInPlace(place, temporary);
}

/** Pieces gather in a file beside the target, which readers never see half written. */
function writeFile(place: Place, copy: CopyOf<"file">): void {
  const temporary = temporaryName(place.name);
  if (copy.offset === 0) removeIfThere(place.path(temporary));
  using file = openPiece(place, temporary, copy.offset);
  file.seekSync(copy.offset, Deno.SeekMode.Start);
  for (let rest = copy.data; rest.length > 0;) rest = rest.subarray(file.writeSync(rest));
  if (copy.offset + copy.data.length < copy.size) return;
  using made = Fd.openAt(place.directory, temporary, { flags: O_PATH | O_NOFOLLOW });
  setOwnerAndMode(made, copy);
  moveInPlace(place, temporary);
}

function openPiece(place: Place, temporary: string, offset: number): Deno.FsFile {
  // An exclusive creation never follows a link that somebody put there meanwhile.
  if (offset === 0) return Deno.openSync(place.path(temporary), { write: true, createNew: true, mode: 0o600 });
  using found = Fd.openAt(place.directory, temporary, { flags: O_PATH | O_NOFOLLOW });
  const path = `/proc/self/fd/${found.number}`;
  if (!Deno.statSync(path).isFile) {
    throw new KataError("PERMISSION_DENIED", "Cannot go on: not the file that was begun");
  }
  return Deno.openSync(path, { write: true });
}

function moveInPlace(place: Place, temporary: string): void {
  try {
    Deno.renameSync(place.path(temporary), place.path());
  } catch (error) {
    if (!isErrno(error, "EISDIR", "ENOTEMPTY", "EEXIST")) throw error;
    Deno.removeSync(place.path(), { recursive: true });
    Deno.renameSync(place.path(temporary), place.path());
  }
}

function setOwnerAndMode(file: Fd, copy: Pick<Copy, "uid" | "gid" | "mode">): void {
  setOwner(file, copy);
  Deno.chmodSync(`/proc/self/fd/${file.number}`, copy.mode); // after chown(2), which clears set-id bits
}

function setOwner(file: Fd, { uid, gid }: Pick<Copy, "uid" | "gid">): void {
  if (uid === undefined && gid === undefined) return;
  Deno.chownSync(`/proc/self/fd/${file.number}`, uid ?? null, gid ?? null);
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Bounded, as the name itself may be as long as a name can be; the hash keeps names with one beginning apart. */
function temporaryName(name: string): string {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return `.${name.slice(0, 48)}.${hash.toString(16)}.kata-copy`;
}
