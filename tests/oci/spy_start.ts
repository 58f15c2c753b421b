/** Starts what looks around in the pid namespace of a process, with no more than the rights to trace and to read. @module */
import { until } from "../support/wait.ts";
import type { Box, Result } from "./runtime.ts";

/** @param options `program`: a file of this directory. */
export function spawnInside(
  pid: number,
  { program, args }: { program: string; args: readonly string[] },
): Deno.ChildProcess {
  const path = new URL(program, import.meta.url).pathname;
  const caps = "-all,+sys_ptrace,+dac_override";
  const limited = ["setpriv", `--bounding-set=${caps}`, `--inh-caps=${caps}`];
  const run = [Deno.execPath(), "run", "-A", "--no-lock", "--no-config", path, ...args];
  const script = `mount -t proc proc /proc && exec "$@"`;
  return new Deno.Command("nsenter", {
    args: [`--target=${pid}`, "--pid", "unshare", "--mount", "sh", "-c", script, "sh", ...limited, ...run],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
}

/**
 * Makes a container while an attacker looks on from the pid namespace of a process, and removes it if it was made.
 *
 * @param attacker As {@linkcode spawnInside}; it says that it is ready, and goes on until its input ends.
 * @returns What the attacker said, and how the container was made.
 */
export async function createBeside(
  box: Box,
  { pid, ...attacker }: { pid: number; program: string; args: readonly string[] },
): Promise<{ said: string; result: Result; mounts: string }> {
  let said = "";
  const child = spawnInside(pid, attacker);
  const reading = (async () => {
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) said += text;
  })();
  await until(() => said.includes("ready"));
  const id = box.id();
  const result = await box.call(["create", "--bundle", box.bundle, id]);
  await reading;
  await child.stdin.close();
  await child.status;
  let mounts = "";
  if (result.code === 0) {
    mounts = Deno.readTextFileSync(`/proc/${(await box.state(id)).pid}/mountinfo`);
    await box.ok("delete", "--force", id);
  }
  return { said, result, mounts };
}
