/**
 * Paths in the guest that the host names: where a storage is to be, what a mount shows. The host is trusted, but what lies
 * on the way may be a container's: in its volumes it puts links and exchanges directories as it likes. Pure.
 *
 * @module
 */
import { KataError } from "../../base/error.ts";
import type { GuardedPath } from "../../linux/fs/guarded_path.ts";
import { GUEST_PATH } from "../../agent_api/names.ts";

/** Directories of the agent's own among the containers' bundles. */
const OWN_NAMES: readonly string[] = ["sandbox", "shared"];

/** Directory of a container; an id never begins with a dot, so that none of the agent's own directories is one. */
export function bundleOf(containersDir: string, containerId: string): string {
  return `${containersDir}/${OWN_NAMES.includes(containerId) ? "." : ""}${containerId}`;
}

/** @returns The path without empty names and `.`. @throws {KataError} INVALID_ARGUMENT: it is relative, or climbs. */
export function cleanPath(path: string): string {
  const names = path.split("/").filter((name) => name !== "" && name !== ".");
  const isClean = path.startsWith("/") && !names.includes("..") && !path.includes("\0");
  if (isClean) return `/${names.join("/")}`;
  const rule = 'a path in the guest is absolute and holds no ".."';
  throw new KataError("INVALID_ARGUMENT", `Cannot use ${JSON.stringify(path)}: ${rule}`);
}

/** Whether `path` lies below `directory`; both are clean. */
export function isBelow(path: string, directory: string): boolean {
  return path.startsWith(directory === "/" ? "/" : `${directory}/`) && path !== directory;
}

/** A host without root's rights has the same places below its user's own directory. */
const USER_DIRECTORY = /^\/run\/user\/\d+(?=\/)/;

/** Whether a clean path lies among what the host and the agent put into the guest. */
function isPlaced(path: string): boolean {
  return isBelow(path.replace(USER_DIRECTORY, ""), GUEST_PATH.containers);
}

/**
 * Where the agent makes, mounts and removes for a host: of the guest's own file system nothing is a host's to hide or change.
 *
 * @returns The clean path. @throws {KataError} As {@linkcode cleanPath}; PERMISSION_DENIED: it lies elsewhere.
 */
export function storagePath(path: string): string {
  const clean = cleanPath(path);
  if (isPlaced(clean)) return clean;
  const where = `storages lie below "${GUEST_PATH.containers}"`;
  throw new KataError("PERMISSION_DENIED", `Cannot make a storage at "${clean}": ${where}`);
}

/**
 * Where hooks of the guest may lie, which run with the rights of the agent: they come from its image, and from nothing that
 * is shared, nor through `/proc` from a container's root.
 *
 * @returns The clean path; empty if there are to be none. @throws {KataError} As {@linkcode storagePath}.
 */
export function hookPath(path: string): string {
  const clean = path === "" ? "" : cleanPath(path);
  // The directory itself has those of containers in it.
  if (!isPlaced(`${clean}/hooks`) && clean !== "/proc" && !isBelow(clean, "/proc")) return clean;
  throw new KataError("PERMISSION_DENIED", `Cannot run hooks of "${clean}": containers can write there`);
}

/** Places in the guest where containers may write, by clean paths. */
export interface Storages {
  /** Directories whose content is the containers' own, wherever links in them lead as long as they stay. */
  volumes: Iterable<string>;
  /** Other places that containers may write to, such as their root file systems. */
  others: Iterable<string>;
}

/**
 * Tells which part of a path containers may write. Where it lies in a volume, that is all below the outermost one;
 * elsewhere among what the host has shared or the agent has mounted no link is followed at all; what is left is the
 * guest's own file system, whose links are its image's.
 *
 * @throws {KataError} As {@linkcode cleanPath}.
 */
export function guardPath(path: string, { volumes, others }: Storages): GuardedPath {
  const clean = cleanPath(path);
  const above = [...volumes].filter((volume) => isBelow(clean, volume)).sort((a, b) => a.length - b.length);
  const [base = clean] = above;
  const isOwn = !isPlaced(base) && ![...volumes, ...others].some((one) => isBelow(base, one));
  const links = isOwn ? "plain" : "none";
  return base === clean ? { base, links } : { base, links, part: clean.slice(base.length + 1) };
}

/** @returns The path itself. @throws {KataError} PERMISSION_DENIED: containers may write a part of it. */
export function refusePart(path: GuardedPath): GuardedPath {
  if (path.part === undefined) return path;
  const why = `it lies in the volume "${path.base}", which containers can write`;
  throw new KataError("PERMISSION_DENIED", `Cannot use "${path.base}/${path.part}": ${why}`);
}
