/**
 * Where the shared file system differs from a local one, and why: what the battery is held to, and the tables in
 * `tests/README.md` are made of. Pure.
 *
 * @module
 */
import type { Finding } from "./calls.ts";

export interface Difference {
  /** In a volume, and in the root file system unless that says otherwise. */
  found: Finding;
  /** In the root file system, which is an overlay on the host. */
  root?: Finding;
  why: string;
  /** With QEMU's own daemon alone. */
  only?: "c";
}

const TMPFILE = "Linux 6.1 has no such request for a shared file system; programs fall back on a name";
const LISTS = "Linux 6.1 keeps no lists of access for what is mounted within a shared file system; refused";

export const DIFFERENCES: Readonly<Record<string, Difference>> = {
  "O_TMPFILE, given a name later": { found: "EOPNOTSUPP", why: TMPFILE },
  "a supplementary group: O_TMPFILE": { found: "EOPNOTSUPP", why: TMPFILE },
  "a list of access lets one user in": { found: ["EOPNOTSUPP", "EACCES", "EACCES", "600"], why: LISTS },
  "a list of access is inherited": { found: ["EOPNOTSUPP", "EACCES", "EACCES", "644"], why: LISTS },
  "nodes: made and opened": {
    found: ["EPERM", "ENOENT"],
    why: "on purpose: a number that the guest chooses would be a device of the host",
  },
  "times: set to the nanosecond, of the birth": {
    found: [1000000000, 123456789, false],
    why: "Linux 6.1 asks a shared file system for no time of birth",
  },
  "flags of files": { found: "ENOTTY", why: "no daemon passes such requests on" },
  "a shared mapping of a file that is open to append": {
    found: [2048, "\0\0\0\0\0\0"],
    why: "QEMU's own daemon writes it at the file's end",
    only: "c",
  },
  "a supplementary group: create, mkdir, link, rename, unlink, nodes": {
    found: ["EACCES", "EACCES", "EACCES", "ENOENT", "ENOENT", "EACCES", "EACCES", "ENOENT"],
    why: "QEMU's own daemon does not know the groups of who asks",
    only: "c",
  },
};

/** Cases whose finding an overlay on the host has as well. */
export const OVERLAY: Readonly<Record<string, Finding>> = {
  "rename: no replacement, exchange, whiteout": ["EEXIST", "ok", "a", "EINVAL"],
};

/** Findings of somebody else, by how near he is. */
export const MEETINGS: Readonly<Record<string, { inPod: Finding; elsewhere: Finding; why?: string }>> = {
  "flock held by another": { inPod: "EAGAIN", elsewhere: "ok", why: "locks are the guest's own" },
  "record lock held by another": { inPod: "EAGAIN", elsewhere: "ok", why: "locks are the guest's own" },
  "socket on which another listens": { inPod: "ok", elsewhere: "ECONNREFUSED", why: "its end is in another kernel" },
  "fifo that another reads": { inPod: "ok", elsewhere: "ENXIO", why: "its end is in another kernel" },
  "file that another has written": { inPod: "by write", elsewhere: "by write" },
  "file in which another has a shared mapping": { inPod: "by memory", elsewhere: "by memory" },
};

/** The two tables of `tests/README.md`. @param cases Names of all cases. */
export function tables(cases: readonly string[]): string {
  const rows = cases.map((name) => {
    const { why, only } = DIFFERENCES[name] ?? {};
    if (name in OVERLAY) return [name, "yes", "as an overlay", "yes", "an overlay makes whiteouts for itself alone"];
    if (why === undefined) return [name, "yes", "yes", "yes", ""];
    const found = only === "c" ? "not by QEMU's" : "no";
    return [name, "yes", found, found, why];
  });
  const meetings = Object.entries(MEETINGS).map(([name, { inPod, elsewhere, why = "" }]) => {
    return [name, "yes", "yes", inPod === elsewhere ? "yes" : "no", why];
  });
  return [
    table(["operation", "local", "root", "volume", "why not"], rows),
    table(["two processes", "one container", "two of a pod", "two pods, host", "why not"], meetings),
  ].join("\n\n");
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]) => `| ${cells.map((cell, at) => cell.padEnd(widths[at]!)).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}
