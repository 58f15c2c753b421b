/**
 * Whom a monitor runs as. Not root: that one owns most of the host, even without a single capability. And not one user for
 * all monitors, as one that its guest has taken over could then trace the others.
 *
 * @module
 */
import type { QemuConfig } from "../config/schema.ts";

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

/** What the monitor will use by path, with the rights of its own user. */
export interface UserNeeds {
  config: QemuConfig;
  accelerator: "kvm" | "tcg";
  firmware: string;
}

/** @returns A user of its own, or why there can be none. */
export function chooseUser(needs: UserNeeds): VmmUser | string {
  const id = FIRST_ID + crypto.getRandomValues(new Uint32Array(1))[0]! % IDS;
  if (Deno.uid() !== 0) return "the runtime itself is not root";
  const obstacle = unmapped(id) ?? unreachable(needs);
  if (obstacle !== undefined) return obstacle;
  const groups = needs.accelerator === "kvm" ? groupsFor("/dev/kvm") : [];
  return groups === undefined ? "its user cannot use /dev/kvm" : { uid: id, gid: id, groups };
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

function unreachable({ config, firmware }: UserNeeds): string | undefined {
  const { path, kernel, initrd, entropy_source, file_mem_backend } = config;
  // The monitor gets these open, and opens them anew: where they are does not matter.
  const closed = [kernel, initrd].find((file) => file !== "" && !allows(file, READ));
  if (closed !== undefined) return `others than root cannot read "${closed}"`;
  const hidden = [firmware, entropy_source].find((file) => file !== "" && !isReachable(file, READ));
  if (hidden !== undefined) return `others than root cannot read "${hidden}"`;
  if (!isReachable(path, READ | SEARCH)) return `others than root cannot run "${path}"`;
  const needsMemory = file_mem_backend !== "" && !isReachable(file_mem_backend, WRITE | SEARCH);
  return needsMemory ? `others than root cannot write to "${file_mem_backend}"` : undefined;
}

/** Whether others may do this with a file, and search each directory on its way. */
function isReachable(file: string, bits: number): boolean {
  const real = Deno.realPathSync(file);
  if (!allows(real, bits)) return false;
  const parts = real.split("/");
  return parts.every((_, depth) => allows(parts.slice(0, depth).join("/") || "/", SEARCH));
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
