/**
 * Which tricks of this folder a build goes without. `KATA_PLAIN` is `1` for all of them, or has their names with commas in
 * between; each is the name of a folder here. `scripts/prepare.sh` reads the same variable, and refuses other names.
 *
 * @module
 */

/** The folders here. */
export type Trick =
  | "agent_loader"
  | "code_cache"
  | "init_program"
  | "launcher"
  | "lazy_imports"
  | "portable_head"
  | "prelink"
  | "protobuf"
  | "runk_loader"
  | "timers"
  | "v8_flags";

/** @param plain Value of `KATA_PLAIN`. @returns Whether the build has the trick. */
export function hasTrick(trick: Trick, plain: string = Deno.env.get("KATA_PLAIN") ?? ""): boolean {
  return plain !== "1" && !plain.split(",").includes(trick);
}
