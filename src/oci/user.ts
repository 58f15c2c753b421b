/**
 * Who a process runs as: the databases of users and groups inside the root file system, which the image controls.
 *
 * @see https://man7.org/linux/man-pages/man5/passwd.5.html
 * @module
 */
import { isErrno } from "../linux/errno.ts";
import { Fd, O_DIRECTORY, O_PATH } from "../linux/fd.ts";
import { readTextInRoot } from "../linux/in_root.ts";
import { resolveInside } from "./inside.ts";

const PASSWD = "/etc/passwd";

/** Images with thousands of users exist; with millions they are an attack. */
const DATABASE_LIMIT = 4 << 20;

export interface PasswdEntry {
  name: string;
  uid: number;
  gid: number;
  home: string;
}

export interface GroupEntry {
  name: string;
  gid: number;
  members: string[];
}

/** Parses /etc/passwd. Lines that are no entry are skipped, as libc does. */
export function parsePasswd(text: string): PasswdEntry[] {
  return text.split("\n").flatMap((line) => {
    const [name, , uid, gid, , home = ""] = line.split(":");
    if (!name || !isId(uid) || !isId(gid)) return [];
    return [{ name, uid: Number(uid), gid: Number(gid), home }];
  });
}

/** Parses /etc/group. */
export function parseGroup(text: string): GroupEntry[] {
  return text.split("\n").flatMap((line) => {
    const [name, , gid, members = ""] = line.split(":");
    if (!name || !isId(gid)) return [];
    return [{ name, gid: Number(gid), members: members.split(",").filter((member) => member !== "") }];
  });
}

function isId(text: string | undefined): text is string {
  return text !== undefined && /^\d+$/.test(text) && Number(text) < 2 ** 32 - 1;
}

/** What will be mounted where in a root file system. */
export interface Bind {
  /** Absolute inside the root, without links. */
  destination: string;
  /** As we see it. */
  source: string;
}

/**
 * The user database of a root file system; empty if there is none, or it cannot be read.
 *
 * @param root Path of the root, from which no link in it leads out.
 * @param binds Mounts that are not there yet: container engines make such a file for users whom the image does not know.
 */
export function readPasswd(root: string, binds: readonly Bind[] = []): PasswdEntry[] {
  return parsePasswd(readDatabase(() => findDatabase(PASSWD, { root, binds })));
}

export function readGroup(root: string): GroupEntry[] {
  return parseGroup(readDatabase(() => ({ root, path: "/etc/group" })));
}

/** A file in a directory that no link leads out of. */
interface Place {
  root: string;
  path: string;
}

function findDatabase(path: string, { root, binds }: { root: string; binds: readonly Bind[] }): Place {
  if (binds.length === 0) return { root, path };
  const inside = resolveInside(root, path);
  const bind = binds.findLast(({ destination }) => inside === destination || inside.startsWith(`${destination}/`));
  if (bind === undefined) return { root, path };
  const { destination, source } = bind;
  if (inside === destination) return { root: "/", path: Deno.realPathSync(source) };
  return { root: source, path: inside.slice(destination.length) };
}

function readDatabase(find: () => Place): string {
  try {
    const { root, path } = find();
    using directory = Fd.open(root, O_PATH | O_DIRECTORY);
    return readTextInRoot(directory, path, { limit: DATABASE_LIMIT });
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
