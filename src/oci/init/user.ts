/**
 * Resolves the user of a process: databases of users and groups inside the root file system, which the image controls.
 *
 * @see https://man7.org/linux/man-pages/man5/passwd.5.html
 * @module
 */
import { isErrno } from "../../linux/ffi/errno.ts";
import { Fd, O_DIRECTORY, O_PATH } from "../../linux/io/fd.ts";
import { openInRoot, readTextOf } from "../../linux/fs/in_root.ts";
import { resolveInside } from "../mount/inside.ts";

const PASSWD = "/etc/passwd";

/** Images with thousands of users exist; with millions they are an attack. */
const DATABASE_LIMIT = 4 << 20;

export interface PasswdEntry {
  name: string;
  uid: number;
  gid: number;
  home: string;
}

/** Parses /etc/passwd. Lines that are no entry are skipped, as libc does. */
export function parsePasswd(text: string): PasswdEntry[] {
  return text.split("\n").flatMap((line) => {
    const [name, , uid, gid, , home = ""] = line.split(":");
    if (!name || !isId(uid) || !isId(gid)) return [];
    return [{ name, uid: Number(uid), gid: Number(gid), home }];
  });
}

function isId(text: string | undefined): text is string {
  return text !== undefined && /^\d+$/.test(text) && Number(text) < 2 ** 32 - 1;
}

/** A bind mount planned for a root file system. */
export interface Bind {
  /** Absolute inside the root, without links. */
  destination: string;
  /** Opens the source of the mount. */
  open(): Fd;
}

/**
 * The user database of a root file system; empty if there is none, or it cannot be read.
 *
 * @param root Path of the root, from which no link in it leads out.
 * @param binds Mounts that are not there yet: container engines make such a file for users whom the image does not know.
 */
export function readPasswd(root: string, binds: readonly Bind[] = []): PasswdEntry[] {
  return parsePasswd(readDatabase(() => openDatabase(PASSWD, { root, binds })));
}

function openDatabase(path: string, { root, binds }: { root: string; binds: readonly Bind[] }): Fd {
  const inside = binds.length === 0 ? path : resolveInside(root, path);
  const bind = binds.findLast(({ destination }) => inside === destination || inside.startsWith(`${destination}/`));
  if (bind?.destination === inside) return bind.open();
  // A directory that no link leads out of.
  using directory = bind?.open() ?? Fd.open(root, O_PATH | O_DIRECTORY);
  return openInRoot(directory, bind === undefined ? path : inside.slice(bind.destination.length), { flags: O_PATH });
}

function readDatabase(open: () => Fd): string {
  try {
    using file = open();
    return readTextOf(file, { path: "user database", limit: DATABASE_LIMIT });
  } catch (error) {
    // An image may hold none, or nonsense in its place: then it has no names.
    const isAbsent = isErrno(error, "ENOENT", "ENOTDIR", "EISDIR", "ELOOP", "ENXIO", "EACCES", "EAGAIN");
    if (isAbsent || error instanceof RangeError) return "";
    throw error;
  }
}

/** The home directory of a user id; `/` if the database does not have it. */
export function homeOf(passwd: readonly PasswdEntry[], uid: number): string {
  return passwd.find((entry) => entry.uid === uid)?.home || "/";
}

/**
 * A process' environment: as configured, with HOME from the user database where that is missing or empty. Of two entries
 * with one name the later one holds, in the place of the earlier: the C library would read the first one it finds.
 */
export function completeEnvironment(env: readonly string[], home: () => string): string[] {
  const values = new Map(env.map((entry) => [entry.slice(0, entry.indexOf("=")), entry] as const));
  if (!values.has("HOME") || values.get("HOME") === "HOME=") values.set("HOME", `HOME=${home()}`);
  return [...values.values()];
}
