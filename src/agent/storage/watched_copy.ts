/**
 * A copy, in the guest's memory, of a volume that the kubelet keeps up to date: virtio-fs tells nobody in the guest of what
 * changes on the host, while in the copy each change is the guest's own, which inotify(7) tells of.
 *
 * The kubelet's layout: a directory with the content, whose name begins with two dots; `..data`, a link to it; a link for
 * each file or directory at the top, such as `key` to `..data/key`. An update is another directory, to which `..data` is
 * moved by one rename. The copy does the same in the same order, so that programs see what they would see on a node.
 *
 * @module
 */
import { type Clock, systemClock } from "../../base/clock.ts";
import { KataError } from "../../base/error.ts";
import { isErrno } from "../../linux/ffi/errno.ts";
import { makeDirectoryIn, openDirectoryIn } from "../../linux/fs/guarded_path.ts";
import { removeTree } from "../../linux/fs/remove_tree.ts";
import { Fd, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY, pathOf } from "../../linux/io/fd.ts";

const DATA = "..data";
const NEW_DATA = "..data_tmp";
/** Names of directories with content. */
const CONTENT = /^\.\.[^/]+$/;
const DEEPEST = 16;
/** The kubelet takes some milliseconds for an update, and a minute from one to the next. */
const FIRST_TRIES = 10;
const FIRST_PAUSE_MS = 50;

/** Most that a copy may hold. */
export interface CopyLimits {
  /** Files, directories and links. */
  entries: number;
  bytes: number;
}

/** Copies from one directory into another, whose names may be anybody's to change: nothing is followed there. */
export class WatchedCopy {
  readonly #source: Fd;
  readonly #target: Fd;
  /** Content that the copy has. */
  #current: string | undefined;

  /** @param source Remains the caller's, as does `target`. */
  constructor({ source, target }: { source: Fd; target: Fd }) {
    this.#source = source;
    this.#target = target;
  }

  /**
   * Makes the copy for the first time, and looks again where the kubelet goes on meanwhile.
   *
   * @throws {KataError} As {@linkcode refresh}; FAILED_PRECONDITION also if the content went away each time.
   */
  async fill(limits: CopyLimits, { sleep }: Pick<Clock, "sleep"> = systemClock): Promise<void> {
    for (let tries = 1; !this.refresh(limits); tries++) {
      if (tries === FIRST_TRIES) {
        throw new KataError("FAILED_PRECONDITION", `Cannot copy a volume: its content went away ${tries} times`);
      }
      await sleep(FIRST_PAUSE_MS);
    }
  }

  /**
   * Takes over an update, if there is one.
   *
   * @returns Whether there was. Where it goes away meanwhile, the next look finds what the kubelet made in its place.
   * @throws {KataError} FAILED_PRECONDITION: it is no such volume; RESOURCE_EXHAUSTED: it is too large. The copy is then as
   * it was.
   */
  refresh(limits: CopyLimits): boolean {
    try {
      return this.#takeOver(limits);
    } catch (error) {
      if (isErrno(error, "ENOENT", "ESTALE")) return false;
      throw error;
    }
  }

  #takeOver(limits: CopyLimits): boolean {
    const content = this.#contentOf();
    if (content === this.#current) return false;
    const links = this.#linksOf();
    const left = { ...limits, entries: limits.entries - links.size };
    if (left.entries < 0) throw tooLarge(limits);
    removeTree(this.#target, content);
    try {
      using from = openDirectoryIn(this.#source, content);
      copyTree({ from, to: this.#target, name: content, left, limits, depth: 0 });
    } catch (error) {
      removeTree(this.#target, content);
      throw error;
    }
    this.#moveTo(content);
    this.#setLinks(links);
    if (this.#current !== undefined) removeTree(this.#target, this.#current);
    else copyOwner(Deno.statSync(pathOf(this.#source)), pathOf(this.#target));
    this.#current = content;
    return true;
  }

  #contentOf(): string {
    const content = readLink(this.#source, DATA);
    if (content !== undefined && CONTENT.test(content)) return content;
    throw new KataError("FAILED_PRECONDITION", `Cannot keep a copy up to date: "${DATA}" leads nowhere in it`);
  }

  /** Links at the top. @returns Their targets by their names. */
  #linksOf(): ReadonlyMap<string, string> {
    const names = [...Deno.readDirSync(pathOf(this.#source))].filter(({ name }) => !name.startsWith(".."));
    const other = names.find(({ isSymlink }) => !isSymlink);
    if (other !== undefined) {
      const what = JSON.stringify(other.name);
      throw new KataError("FAILED_PRECONDITION", `Cannot keep a copy up to date: ${what} in it is no link`);
    }
    return new Map(names.flatMap(({ name }) => {
      const target = readLink(this.#source, name);
      return target === undefined ? [] : [[name, target]];
    }));
  }

  #moveTo(content: string): void {
    const at = pathOf(this.#target);
    removeTree(this.#target, NEW_DATA);
    Deno.symlinkSync(content, `${at}/${NEW_DATA}`);
    Deno.renameSync(`${at}/${NEW_DATA}`, `${at}/${DATA}`);
  }

  #setLinks(links: ReadonlyMap<string, string>): void {
    const at = pathOf(this.#target);
    for (const [name, target] of links) {
      if (readLink(this.#target, name) === target) continue;
      removeTree(this.#target, name);
      Deno.symlinkSync(target, `${at}/${name}`);
    }
    const stale = [...Deno.readDirSync(at)].filter(({ name }) => !name.startsWith("..") && !links.has(name));
    for (const { name } of stale) removeTree(this.#target, name);
  }
}

/** @returns undefined if there is no such link. */
function readLink(directory: Fd, name: string): string | undefined {
  try {
    return Deno.readLinkSync(`${pathOf(directory)}/${name}`);
  } catch (error) {
    if (isErrno(error, "ENOENT", "EINVAL")) return undefined;
    throw error;
  }
}

interface TreeCopy {
  from: Fd;
  to: Fd;
  name: string;
  /** Room that is left, counted down. */
  left: CopyLimits;
  limits: CopyLimits;
  depth: number;
}

/** Copies a directory with all files and directories in it; what else there is means nothing in another kernel. */
function copyTree({ from, to, name, left, limits, depth }: TreeCopy): void {
  if (depth > DEEPEST) throw tooLarge(limits);
  using made = makeDirectoryIn(to, name).directory;
  for (const { name, isDirectory, isFile } of Deno.readDirSync(pathOf(from))) {
    if (--left.entries < 0) throw tooLarge(limits);
    if (isDirectory) {
      using below = openDirectoryIn(from, name);
      copyTree({ from: below, to: made, name, left, limits, depth: depth + 1 });
    } else if (isFile) copyFile({ from, to: made, name, left, limits });
  }
  copyOwner(Deno.statSync(pathOf(from)), pathOf(made));
}

function copyFile({ from, to, name, left, limits }: Omit<TreeCopy, "depth">): void {
  using file = Fd.openAt(from, name, { flags: O_RDONLY | O_NOFOLLOW | O_NONBLOCK });
  const info = Deno.statSync(pathOf(file));
  if (!info.isFile) return;
  if ((left.bytes -= info.size) < 0) throw tooLarge(limits);
  using copy = Fd.openAt(to, name, { flags: O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600 });
  const buffer = new Uint8Array(Math.min(Math.max(info.size, 1), 1 << 20));
  for (let rest = info.size; rest > 0;) {
    const length = file.read(buffer.subarray(0, Math.min(buffer.length, rest)));
    if (length === 0) break;
    for (let at = 0; at < length;) at += copy.write(buffer.subarray(at, length));
    rest -= length;
  }
  copyOwner(info, pathOf(copy));
}

/** The owner first: a change of it takes bits of the mode away. */
function copyOwner({ uid, gid, mode }: Deno.FileInfo, path: string): void {
  Deno.chownSync(path, uid, gid);
  Deno.chmodSync(path, (mode ?? 0o644) & 0o7777);
}

function tooLarge({ entries, bytes }: CopyLimits): KataError {
  return new KataError("RESOURCE_EXHAUSTED", `Cannot copy more than ${entries} files and ${bytes} bytes of a volume`);
}
