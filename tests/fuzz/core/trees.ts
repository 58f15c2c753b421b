/** Trees as whoever is inside makes them: links of all kinds that lead out, pipes, names that are none. @module */
import type { Random } from "./random.ts";
import type { Scratch } from "./target.ts";
import { anyText } from "./text.ts";

export type Entry =
  | { kind: "directory" | "file" | "fifo"; path: string }
  | { kind: "link"; path: string; target: string };

const NAMES = ["a", "b", "c", "etc", "passwd", "group", "shared", "link", "data"];
/**
 * `OUTSIDE` stands for the tree that no input may touch. It stands for all that is outside: code that is wrong must not find
 * the machine's own files at the end of a link.
 */
const TARGETS = [
  "OUTSIDE",
  "OUTSIDE/deep",
  "OUTSIDE/deep/er",
  "OUTSIDE/file",
  "OUTSIDE/link",
  "../outside",
  "../../outside/file",
  "..",
  ".",
  "a",
  "b/c",
  "/proc/self/fd/1",
  "/dev/zero",
  "loop",
];

/** A relative path of a few of the names. */
export function anyPath(random: Random): string {
  const names = random.times(
    random.between(1, 4),
    () => random.once(12) ? pathText(random) : random.pick([...NAMES, ".."]),
  );
  return names.join(random.once(10) ? "//" : "/");
}

function pathText(random: Random): string {
  return anyText(random).slice(0, 300);
}

export function anyTree(random: Random): Entry[] {
  return random.times(random.between(1, 9), (): Entry => {
    const path = random.times(random.between(1, 3), () => random.pick(NAMES)).join("/");
    const kind = random.pick(["link", "link", "link", "directory", "file", "fifo"] as const);
    if (kind !== "link") return { kind, path };
    return { kind, path, target: random.once(8) ? pathText(random) : random.pick(TARGETS) };
  });
}

/** Makes the tree in a fresh directory. Entries that are in each other's way are left out. */
export function plantTree(root: string, tree: readonly Entry[], { outside }: Scratch): void {
  removeTree(root);
  Deno.mkdirSync(root);
  for (const entry of tree) {
    try {
      plant(root, entry, outside);
    } catch {
      // A name that no file can have, or something is there.
    }
  }
}

function plant(root: string, entry: Entry, outside: string): void {
  const parents = entry.path.split("/").slice(0, -1);
  let at = root;
  for (const name of parents) {
    at += `/${name}`;
    // Never through a link: what is planted is inside.
    if (isLink(at)) return;
    Deno.mkdirSync(at, { recursive: true });
  }
  const path = `${root}/${entry.path}`;
  if (entry.kind === "directory") Deno.mkdirSync(path);
  else if (entry.kind === "file") Deno.writeTextFileSync(path, "root:x:0:0::/:/bin/sh\n", { createNew: true });
  else if (entry.kind === "link") Deno.symlinkSync(targetOf(entry.target, outside), path);
  else new Deno.Command("mkfifo", { args: ["--", path], stderr: "null" }).outputSync();
}

/** Absolute targets lead into the tree outside, or to a device that takes everything. */
function targetOf(target: string, outside: string): string {
  const placed = target.replace("OUTSIDE", outside);
  const isHarmless = placed.startsWith(outside) || placed === "/proc/self/fd/1" || placed === "/dev/zero";
  if (placed.startsWith("/") && !isHarmless) return `${outside}${placed}`;
  // As many steps up as lead to the directory that inside and outside share.
  return placed.split("/").filter((part) => part === "..").length > 2 ? outside : placed;
}

function isLink(path: string): boolean {
  try {
    return Deno.lstatSync(path).isSymlink;
  } catch {
    return false;
  }
}

function removeTree(path: string): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
