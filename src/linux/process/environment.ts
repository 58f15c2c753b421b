/** Variables that this program has, and those that its caller has given it. @module */

/** Variables that the portable file sets for itself: see `scripts/accelerate/portable_head`. */
const OF_PORTABLE_FILE = ["DENO_DIR", "DENO_NO_UPDATE_CHECK", "KATA_FORM", "KATA_ARGV0"];

/** The environment that our caller has given us, as `NAME=value`: a program started with it may be one of ours. */
export function callersEnvironment(): string[] {
  const isPacked = Deno.env.has("KATA_FORM");
  return Object.entries(Deno.env.toObject())
    .filter(([name]) => !isPacked || !OF_PORTABLE_FILE.includes(name))
    .map(([name, value]) => `${name}=${value}`);
}
