/** Starts what looks around in the pid namespace of a process, with no more than the rights to trace and to read. @module */

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
