/** Mounts as containerd hands them to a shim: good ones, and what an image or a snapshotter could make of them. @module */
import type { Random } from "./random.ts";
import { anyText, mutateText, textLike } from "./text.ts";

export interface RootMount {
  type: string;
  source: string;
  target: string;
  options: string[];
}

const TYPES = ["overlay", "bind", "tmpfs", "ext4", "erofs", "proc", "rbind", ""];
const OPTIONS = ["ro", "rw", "rbind", "bind", "nosuid", "index=off", "userxattr", "size=64k", "mode=755", "loop"];

/** `DIR` stands for a directory with `lower`, `upper`, `work` and `source` in it. */
export function anyRootMounts(random: Random): RootMount[] {
  return random.times(random.once(2) ? 0 : random.between(1, 2), () => {
    const type = random.once(2) ? "overlay" : textLike(random, TYPES);
    return {
      type,
      source: textLike(random, ["overlay", "DIR/source", "DIR/lower", "tmpfs", "/proc", "DIR/source/../lower"]),
      target: random.once(5) ? textLike(random, ["", "a", "a/b", "/"]) : "",
      options: type === "overlay"
        ? overlayOptions(random)
        : random.times(random.few(4), () => textLike(random, OPTIONS)),
    };
  });
}

function overlayOptions(random: Random): string[] {
  const lower = random.times(random.once(10) ? 200 : random.between(1, 4), () => "DIR/lower").join(":");
  const options = [
    `lowerdir=${lower}`,
    "upperdir=DIR/upper",
    "workdir=DIR/work",
    ...random.times(random.few(2), () => random.pick(OPTIONS)),
  ];
  if (random.once(4)) options.splice(random.below(options.length), 1, anyText(random));
  return random.once(4) ? options.map((option) => random.once(3) ? mutateText(random, option) : option) : options;
}

/** The mounts with the directory in the place of `DIR`. */
export function placeMounts(mounts: readonly RootMount[], directory: string): RootMount[] {
  const place = (text: string) => text.replaceAll("DIR", directory);
  return mounts.map(({ type, source, target, options }) => ({
    type,
    source: place(source),
    target,
    options: options.map(place),
  }));
}
