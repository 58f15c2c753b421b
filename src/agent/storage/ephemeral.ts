/** Memory as a file system: emptyDir, `/dev/shm` and huge pages. @module */
import { KataError } from "../../base/error.ts";
import { O_DIRECTORY, O_PATH, pathOf } from "../../linux/io/fd.ts";
import { type GuardedPath, openGuarded } from "../../linux/fs/guarded_path.ts";
import { mount } from "../../linux/mount/mount.ts";
import { MS, parseMountOptions } from "../../linux/mount/mount_options.ts";
import type { Storage } from "../../proto/agent_pb.ts";
import { STORAGE_OPTION } from "../../agent_api/names.ts";
import { attachedAt, type AttachedStorage, onlyOne, type Places, type StorageGroup } from "./handler.ts";
import { mountAt } from "./mount_point.ts";
import { optionValue, parseCount, parseId } from "./options.ts";

const HUGE_PAGES_DIR = "/sys/kernel/mm/hugepages";
/** No word is a tmpfs. */
const MEMORY_TYPES: readonly string[] = ["tmpfs", "hugetlbfs", ""];
const NO_MEMORY = MS.BIND | MS.REMOUNT;
const S_ISGID = 0o2000;

/** Mounts a tmpfs or hugetlbfs; a size among the options is honoured (B16). */
export async function attachEphemeral(group: StorageGroup, { place }: Places): Promise<AttachedStorage> {
  const storage = onlyOne(group);
  const { source, options } = storage;
  const fstype = storage.fstype || "tmpfs";
  if (fstype === "hugetlbfs") reserveHugePages(options, HUGE_PAGES_DIR);
  const { flags, data } = mountableOptions(storage);
  using undo = new DisposableStack();
  undo.use(mountAt(place, source, { type: fstype, flags, data }));
  const owner = optionValue(options, STORAGE_OPTION.fsGroup);
  if (owner !== undefined) giveToGroup(place, parseId(owner));
  return attachedAt(place, undo.move());
}

/** Changes the options, such as the size, of one that is mounted. */
export function remountEphemeral(storage: Storage, place: GuardedPath): void {
  const { flags, data } = mountableOptions(storage);
  using mounted = openGuarded(place, O_PATH | O_DIRECTORY);
  mount(storage.source, pathOf(mounted), { type: storage.fstype, flags: flags | MS.REMOUNT, data });
}

/** @throws {KataError} INVALID_ARGUMENT: this would show something that is there already, and is no memory. */
function mountableOptions({ fstype, options }: Storage): { flags: number; data: string } {
  const { flags, data } = parseMountOptions(options.filter((option) => !option.startsWith(STORAGE_OPTION.fsGroup)));
  if ((flags & NO_MEMORY) === 0 && MEMORY_TYPES.includes(fstype)) return { flags, data };
  const words = `file system "${fstype}" with options "${options.join()}"`;
  throw new KataError("INVALID_ARGUMENT", `Cannot mount ${words} as memory: it is a new tmpfs or hugetlbfs`);
}

/** A new look finds what is mounted. */
function giveToGroup(place: GuardedPath, group: number): void {
  using mounted = openGuarded(place, O_PATH | O_DIRECTORY);
  const path = pathOf(mounted);
  const mode = Deno.statSync(path).mode ?? 0o755;
  Deno.chownSync(path, null, group);
  Deno.chmodSync(path, (mode & 0o7777) | S_ISGID);
}

/**
 * Asks the kernel for the pages of a hugetlbfs with `pagesize=` and `size=` in bytes.
 *
 * @param root `/sys/kernel/mm/hugepages`, or a directory like it.
 * @throws {KataError} RESOURCE_EXHAUSTED if it has not that many.
 */
export function reserveHugePages(options: readonly string[], root: string): void {
  const pageBytes = parseCount(optionValue(options, "pagesize=") ?? "");
  const pages = Math.floor(parseCount(optionValue(options, "size=") ?? "") / pageBytes);
  const path = `${root}/hugepages-${pageBytes / 1024}kB/nr_hugepages`;
  Deno.writeTextFileSync(path, String(pages));
  const got = Number(Deno.readTextFileSync(path));
  if (got >= pages) return;
  throw new KataError(
    "RESOURCE_EXHAUSTED",
    `Cannot reserve ${pages} huge pages of ${pageBytes} bytes: ${got} are free`,
  );
}
