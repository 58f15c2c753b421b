/**
 * Whom a program runs as that a guest talks to. Not root: that one owns most of the host, even without a single capability.
 * And not one user for all of them, as one that its guest has taken over could then trace the others.
 *
 * @module
 */

/** A user, who needs no account. */
export interface VmmUser {
  uid: number;
  gid: number;
  groups: readonly number[];
}

/** Neither systemd nor any distribution gives these to accounts, containers or services. */
const FIRST_ID = 0x70000000;
const IDS = 0x0fffffff;

/** By others than user and group. */
const READ = 0o4;
const WRITE = 0o2;
const SEARCH = 0o1;

/** Files that a program opens with its own rights. Empty paths are none. */
export interface UserNeeds {
  program: string;
  /** Files that it opens by path. */
  reads?: readonly string[];
  /** Files that it gets open and opens anew, wherever they are. */
  opened?: readonly string[];
  /** Directories that it makes files in. */
  fills?: readonly string[];
  /** A device that it opens by path, to read and write. */
  device?: string | undefined;
}

/** @returns A user of its own, or why there can be none. */
export function chooseUser(needs: UserNeeds): VmmUser | string {
  if (Deno.uid() !== 0) return "the runtime itself is not root";
  const id = FIRST_ID + crypto.getRandomValues(new Uint32Array(1))[0]! % IDS;
  const groups = needs.device === undefined ? [] : groupsFor(needs.device);
  const obstacle = unmapped(id) ?? closed(needs);
  if (obstacle !== undefined) return obstacle;
  return groups === undefined ? `others than root cannot use "${needs.device}"` : { uid: id, gid: id, groups };
}

/** In a user namespace few ids may exist. */
function unmapped(id: number): string | undefined {
  for (const map of ["uid_map", "gid_map"]) {
    const rows = Deno.readTextFileSync(`/proc/self/${map}`).trim().split("\n").map((row) => row.trim().split(/\s+/));
    const isThere = rows.some(([first, , count]) => Number(first) <= id && id < Number(first) + Number(count));
    if (!isThere) return `this user namespace has no id ${id}`;
  }
  return undefined;
}

function closed({ program, reads = [], opened = [], fills = [] }: UserNeeds): string | undefined {
  const refusals: readonly [string, readonly string[], (path: string) => boolean][] = [
    ["run", [program], (path) => isReachable(path, READ | SEARCH)],
    ["read", reads, (path) => isReachable(path, READ)],
    ["read", opened, (path) => allows(path, READ)],
    ["write to", fills, (path) => isReachable(path, WRITE | SEARCH)],
  ];
  for (const [verb, paths, isOpen] of refusals) {
    const path = paths.find((each) => each !== "" && !isOpen(each));
    if (path !== undefined) return `others than root cannot ${verb} "${path}"`;
  }
  return undefined;
}

/** Whether others may do this with a file, and search each directory on its way. */
function isReachable(file: string, bits: number): boolean {
  const real = Deno.realPathSync(file);
  const parts = real.split("/");
  return allows(real, bits) && parts.every((_, depth) => allows(parts.slice(0, depth).join("/") || "/", SEARCH));
}

function allows(path: string, bits: number): boolean {
  return ((Deno.statSync(path).mode ?? 0) & bits) === bits;
}

/** @returns Groups that may use a device; undefined if there are none that could. */
function groupsFor(device: string): readonly number[] | undefined {
  const { mode, gid } = Deno.statSync(device);
  const [ofOthers, ofGroup] = [READ | WRITE, (READ | WRITE) << 3];
  if (((mode ?? 0) & ofOthers) === ofOthers) return [];
  return gid !== null && gid !== 0 && ((mode ?? 0) & ofGroup) === ofGroup ? [gid] : undefined;
}
