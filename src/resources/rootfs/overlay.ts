/** Overlay options that outgrow the kernel's page. Pure. @module */
import { MAX_DATA_BYTES } from "../../linux/mount/mount.ts";

/**
 * An image of many layers has a `lowerdir=` longer than mount(2) takes. All layers are below one directory of the
 * snapshotter, so their paths can be written relative to it.
 *
 * @returns The directory to mount from, and the shorter options; no directory if they fit as they are, or share none.
 */
export function shortenOverlay(data: string): { directory?: string; data: string } {
  if (new TextEncoder().encode(data).length <= MAX_DATA_BYTES) return { data };
  const options = data.split(",");
  const lower = options.find((option) => option.startsWith("lowerdir="))?.slice("lowerdir=".length).split(":") ?? [];
  const directory = commonDirectory(lower);
  if (directory === "") return { data };
  const relative = lower.map((path) => path.slice(directory.length + 1)).join(":");
  const short = options.map((option) => option.startsWith("lowerdir=") ? `lowerdir=${relative}` : option);
  return { directory, data: short.join(",") };
}

/** The deepest directory that all paths are strictly below, or an empty text. */
function commonDirectory(paths: readonly string[]): string {
  const [first = "", ...others] = paths;
  if (!first.startsWith("/")) return "";
  for (let end = first.lastIndexOf("/"); end > 0; end = first.lastIndexOf("/", end - 1)) {
    const directory = first.slice(0, end);
    if (others.every((path) => path.startsWith(`${directory}/`))) return directory;
  }
  return "";
}
