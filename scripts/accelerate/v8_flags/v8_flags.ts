/**
 * Flags by which V8 does less than it would for programs that run long. None of them changes what a program does.
 *
 * The shim has its own (`V8_FLAGS` of `src/shim/start/start.ts`), as it starts itself; a `DENO_V8_FLAGS` in its environment, which
 * may be empty, takes their place.
 *
 * @module
 */
import { hasTrick } from "../switches.ts";

/**
 * runk ends before machine code, helper threads or a collection of garbage would pay; without helper threads, V8's compilers
 * would even hold up the program. V8's code cache goes by the flags: hence one of its own.
 */
const RUNK = ["--no-sparkplug", "--no-maglev", "--no-opt", "--single-threaded", "--min-semi-space-size=8"];

/**
 * Compiling what runs a few hundred times at the start costs an emulated guest a third of a second: only what stays hot,
 * and no regular expression. And young objects get room (MiB) enough that nothing is collected before the first
 * container runs.
 */
const AGENT = [
  "--no-sparkplug",
  "--invocation-count-for-maglev=4000",
  "--invocation-count-for-maglev-osr=1000",
  "--regexp-interpret-all",
  "--min-semi-space-size=16",
  "--max-semi-space-size=16", // a small machine would have less
];

/** Arguments of Deno. @param more Flags that belong to another trick. */
export function v8Flags(program: "runk" | "agent", more: readonly string[] = []): readonly string[] {
  const flags = [...(hasTrick("v8_flags") ? program === "runk" ? RUNK : AGENT : []), ...more];
  return flags.length === 0 ? [] : [`--v8-flags=${flags.join(",")}`];
}
