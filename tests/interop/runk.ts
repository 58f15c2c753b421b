/** Shared by the tests of runk under other people's programs: its path, and commands with a time limit. @module */
import assert from "node:assert/strict";
import { finish } from "../support/command.ts";

/** The built program by its name, or what `RUNK` names. An absolute path: it is called from anywhere. */
export const RUNK = Deno.env.get("RUNK") ?? new URL("../../dist/runk", import.meta.url).pathname;

/** Beside which the same container must look the same. */
export const RUNC = "/usr/sbin/runc";

/**
 * Shell commands that print what a process sees of the options that its container was made with. Left out are cgroups and
 * masked files, for which runk mounts what is safer, and what is named by the container's id.
 */
export const SIGHT = [
  "id; umask; pwd; hostname; cat /proc/sys/kernel/domainname; env | grep -v HOSTNAME | sort",
  "grep -E '^(Cap|NoNewPrivs|Seccomp:|Cpus_allowed_list)' /proc/self/status; cat /proc/self/limits",
  "cat /proc/self/oom_score_adj /proc/self/uid_map /proc/sys/net/core/somaxconn /proc/sys/kernel/shmmax",
  "grep -vE ' /null | /sys/fs/cgroup' /proc/self/mountinfo | cut -d' ' -f5,6 | sort",
  "find /dev -xdev -exec stat -c '%n %F %a %u:%g %t:%T' {} + | sort; stat -c '%n %a %u:%g' /t /dev/shm /dev/console 2>&1; true",
].join("; ");

const LIMIT_MS = 60_000;

/** How a command ended. */
export interface Result {
  status: number;
  stdout: string;
  stderr: string;
}

/** Runs a command without input. @throws {Error} It takes longer than a minute. */
export async function run(words: readonly string[], env: Record<string, string> = {}): Promise<Result> {
  const [command = "", ...args] = words;
  const { code, stdout, stderr } = await finish(command, { args, env, stderr: "piped" });
  const decoder = new TextDecoder();
  return { status: code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** As {@linkcode run}, and it must succeed. @returns Its output. */
export async function must(words: readonly string[], env: Record<string, string> = {}): Promise<string> {
  const { status, stdout, stderr } = await run(words, env);
  assert.equal(status, 0, `${words.join(" ")}: ${stderr}`);
  return stdout;
}

/** Text that is typed once the terminal shows something. */
export interface Answer {
  to: RegExp;
  text: string;
}

/** Runs a command whose input and output are a terminal, and returns what it showed. */
export async function onTerminal(words: readonly string[], answer?: Answer): Promise<Result> {
  const quoted = words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
  const script = ["script", "-qec", `stty rows 31 cols 97; ${quoted}`, "/dev/null"];
  return answer === undefined ? await run(script) : await converse(script, answer);
}

async function converse([command = "", ...args]: readonly string[], { to, text }: Answer): Promise<Result> {
  const signal = AbortSignal.timeout(LIMIT_MS);
  const child = new Deno.Command(command, { args, signal, stdin: "piped", stdout: "piped", stderr: "null" }).spawn();
  const writer = child.stdin.getWriter();
  const decoder = new TextDecoder();
  let [shown, isAnswered] = ["", false];
  for await (const chunk of child.stdout) {
    shown += decoder.decode(chunk, { stream: true });
    if (isAnswered || !to.test(shown)) continue;
    isAnswered = true;
    await writer.write(new TextEncoder().encode(text));
  }
  await writer.close().catch(() => {}); // it has ended already
  return { status: (await child.status).code, stdout: shown, stderr: "" };
}

/** Whether a program of that name is installed, as the reason why a test must be left out. */
export function isInstalled(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** Removes a cgroup that a client made for all its containers and leaves behind; one that is in use stays. */
export async function removeCgroup(name: string): Promise<void> {
  await run([
    "find",
    "/sys/fs/cgroup",
    "-depth",
    "-type",
    "d",
    "-path",
    `/sys/fs/cgroup*/${name}*`,
    "-exec",
    "rmdir",
    "{}",
    "+",
  ]);
}
