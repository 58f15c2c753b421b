/**
 * Paths of which somebody else can write a part. Such a path is never used as a string, in which each link counts and
 * each name may mean another thing a moment later: it is opened, and what is open is used.
 *
 * It bounds where such a path leads, not who owns the files there; `trusted.ts` tells whether only the administrator
 * can have put them there.
 *
 * @see https://man7.org/linux/man-pages/man2/openat2.2.html
 * @module
 */
import { KataError } from "../../base/error.ts";
import { mkdirAt, rawName, rmdirAt } from "./directory.ts";
import { isErrno } from "../ffi/errno.ts";
import { type Fd, O_DIRECTORY, O_PATH, pathOf } from "../io/fd.ts";
import { openAbsolute, openBeneath, RESOLVE } from "./in_root.ts";

/** A path in two halves. */
export interface GuardedPath {
  /** Absolute. */
  base: string;
  /** Links allowed on the way to `base`: none, or plain ones, put there by the machine's maker; never magic ones. */
  links: "none" | "plain";
  /**
   * Relative to `base`, and somebody else's. Its links are followed as far as they stay in `base`, as the kubelet follows
   * those of a `subPath`; one that is absolute, climbs out or leads into another mount is refused. None: `base` itself.
   */
  part?: string;
}

/** Rules for the base, and for the part. */
const BASE_RULES = { none: RESOLVE.NO_SYMLINKS, plain: RESOLVE.NO_MAGICLINKS } as const;
const PART_RULES = RESOLVE.NO_MAGICLINKS | RESOLVE.NO_XDEV;

/** Resolution rules of openat2(2) for the way to the base of a path. */
export function baseRules({ links }: GuardedPath): number {
  return BASE_RULES[links];
}

/** As text, for messages. */
export function guardedText({ base, part }: GuardedPath): string {
  return part === undefined ? base : `${base === "/" ? "" : base}/${part}`;
}

/**
 * @param flags `O_*`; O_PATH without it.
 * @throws {KataError} PERMISSION_DENIED: a link leads out, or there is one where none may be.
 * @throws {ErrnoError} ENOENT and others.
 */
export function openGuarded(path: GuardedPath, flags: number = O_PATH): Fd {
  return refusingLinks(path, () => {
    const resolve = baseRules(path);
    if (path.part === undefined) return openAbsolute(path.base, { flags, resolve });
    using base = openAbsolute(path.base, { flags: O_PATH | O_DIRECTORY, resolve });
    return openBeneath(base, path.part, { flags, resolve: PART_RULES });
  });
}

function refusingLinks<T>(path: GuardedPath, use: () => T): T {
  try {
    return use();
  } catch (cause) {
    if (!isErrno(cause, "ELOOP", "EXDEV")) throw cause;
    const why = path.part === undefined ? "a link is on the way" : `a link leads out of "${path.base}", or nowhere`;
    throw new KataError("PERMISSION_DENIED", `Cannot use "${guardedText(path)}": ${why}`, { cause });
  }
}

/** A directory that is open, and whether it was made for that. */
export interface MadeDirectory {
  directory: Fd;
  isMade: boolean;
}

/**
 * Opens a directory, and makes what is missing: the directory itself and the way to it in the part as `settle` makes them,
 * which nobody but us can use before; the way to the base as root's, 0755. A directory that was there stays as it is.
 *
 * @throws What `settle` throws; nothing is left then of the directory that it was called for.
 */
export function makeGuarded(path: GuardedPath, settle: (made: Fd) => void = settleAsRoots): MadeDirectory {
  const directory = openIfThere(path);
  if (directory !== undefined) return { directory, isMade: false };
  const [above, name] = splitLast(path);
  using parent = makeGuarded(above, above.part === undefined ? settleAsRoots : settle).directory;
  using undo = new DisposableStack();
  const made = refusingLinks(path, () => makeDirectoryIn(parent, name));
  undo.use(made.directory);
  if (made.isMade) {
    undo.defer(() => rmdirAt(parent, rawName(name)));
    settle(made.directory);
  }
  undo.move();
  return made;
}

function settleAsRoots(made: Fd): void {
  Deno.chmodSync(pathOf(made), 0o755);
}

function openIfThere(path: GuardedPath): Fd | undefined {
  try {
    return openGuarded(path, O_PATH | O_DIRECTORY);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}

function partsOf(path = ""): string[] {
  return path.split("/").filter((part) => part !== "");
}

/** The directory above, and the last name. */
export function splitLast({ base, part, ...rest }: GuardedPath): [above: GuardedPath, name: string] {
  const names = partsOf(part ?? base);
  const name = names.pop()!;
  const above = names.join("/");
  if (part === undefined) return [{ ...rest, base: `/${above}` }, name];
  return [{ ...rest, base, ...(above !== "" && { part: above }) }, name];
}

/**
 * Opens a directory, and makes it if there is none. A new one has no permission bits yet, by which it is known: another
 * directory that was put in its place meanwhile has some, and counts as one that was there.
 *
 * @param name One component; a link in its place is refused. @throws {ErrnoError} ELOOP, ENOTDIR
 */
export function makeDirectoryIn(parent: Fd, name: string): MadeDirectory {
  let isMade = true;
  try {
    mkdirAt(parent, name, 0);
  } catch (error) {
    if (!isErrno(error, "EEXIST")) throw error;
    isMade = false;
  }
  const directory = openDirectoryIn(parent, name);
  return { directory, isMade: isMade && (Deno.statSync(pathOf(directory)).mode! & 0o777) === 0 };
}

/** @param name One component; a link in its place is refused. @throws {ErrnoError} ELOOP, ENOTDIR */
export function openDirectoryIn(parent: Fd, name: string): Fd {
  return openBeneath(parent, name, { flags: O_PATH | O_DIRECTORY, resolve: RESOLVE.NO_SYMLINKS });
}
