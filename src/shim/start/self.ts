/** Starting this very program again. @module */

/** A program and its arguments, its own name first. */
export interface Command {
  path: string;
  args: readonly string[];
  env: Readonly<Record<string, string>>;
}

/**
 * The command that runs this program in a mode, whichever form it was built in: one executable, or Deno and a script.
 *
 * @param mode Name that the program is called by.
 */
export function selfCommand(mode: string, args: readonly string[]): Command {
  const path = Deno.execPath();
  const env = { ...Deno.env.toObject(), KATA_ARGV0: mode };
  if (Deno.build.standalone) return { path, args: [mode, ...args], env };
  const script = new URL(Deno.mainModule).pathname;
  const flags = ["-A", "--unstable-vsock", "--no-check", "--cached-only"];
  // The finished program has no settings file; the source tree finds its own beside the script.
  if (Deno.env.has("KATA_FORM")) flags.push("--no-lock", "--no-config");
  return { path, args: [mode, "run", ...flags, script, ...args], env };
}
