/**
 * Where a path of the container leads to, before anything is mounted. The kernel resolves links when it opens a path, but
 * cannot make what a dangling link (`/etc/resolv.conf -> ../run/resolv.conf`) points to: so the links of the image are
 * followed here first. The answer is only a hint; the child opens it inside the root whatever has changed since.
 *
 * @module
 */
import { split } from "./rootfs.ts";

/** As many links as the kernel follows. */
const LINK_LIMIT = 40;

/** Reads a symbolic link; undefined if there is none. */
export type ReadLink = (path: string) => string | undefined;

export interface ResolveOptions {
  /** Resolved destinations of earlier mounts: what the image holds below them is hidden. */
  covered?: readonly string[];
  readLink?: ReadLink;
}

/**
 * Follows the links of `path` as if `root` were `/`.
 *
 * @returns An absolute path inside the root without links, `..` or `.`; `/` is the root itself.
 * @throws {RangeError} More than 40 links.
 */
export function resolveInside(root: string, path: string, options: ResolveOptions = {}): string {
  const { covered = [], readLink = readLinkOf } = options;
  const rest = split(path);
  const done: string[] = [];
  for (let links = 0; rest.length > 0;) {
    const part = rest.shift()!;
    if (part === "..") {
      done.pop();
      continue;
    }
    const here = `/${[...done, part].join("/")}`;
    const target = covered.some((one) => here === one || here.startsWith(`${one}/`))
      ? undefined
      : readLink(`${root}${here}`);
    if (target === undefined) {
      done.push(part);
      continue;
    }
    if (++links > LINK_LIMIT) throw new RangeError(`Cannot resolve "${path}": more than ${LINK_LIMIT} links`);
    if (target.startsWith("/")) done.length = 0;
    rest.unshift(...split(target));
  }
  return `/${done.join("/")}`;
}

function readLinkOf(path: string): string | undefined {
  try {
    return Deno.readLinkSync(path);
  } catch {
    // Not a link, not there, or not readable: the child will see which.
    return undefined;
  }
}
