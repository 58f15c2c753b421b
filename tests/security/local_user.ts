/** A user of the host without any rights: what such a one may try against sandboxes. @module */

/** Whom nothing belongs to. */
export const NOBODY = 65534;

/** Output of a program of the user's, and its exit status. */
export interface Attempt {
  status: number;
  output: string;
}

/** Runs a program as the local user: no groups, no capabilities, no way to more. */
export async function asLocalUser(command: readonly string[]): Promise<Attempt> {
  const ids = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", "--bounding-set=-all", "--no-new-privs"];
  const args = [...ids, "--inh-caps=-all", ...command];
  const { code, stdout, stderr } = await new Deno.Command("setpriv", { args, stdin: "null" }).output();
  const decoder = new TextDecoder();
  return { status: code, output: decoder.decode(stdout) + decoder.decode(stderr) };
}
