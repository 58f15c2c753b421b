/** Commands that tests run to their end. @module */

/** Far more than any of them takes, on a busy machine too. */
const LIMIT_MS = 60_000;

/** Runs a command to its end. @throws {Error} It takes longer than a minute: a test fails then instead of hanging. */
export async function finish(command: string, options: Deno.CommandOptions): Promise<Deno.CommandOutput> {
  return await finished(
    new Deno.Command(command, { stdin: "null", stdout: "piped", stderr: "null", ...options }).spawn(),
    [command, ...options.args ?? []],
  );
}

/** Waits for the end of a process, a minute at most. */
export async function finished(child: Deno.ChildProcess, words: readonly string[]): Promise<Deno.CommandOutput> {
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    child.kill("SIGKILL");
  }, LIMIT_MS);
  try {
    const output = await child.output();
    if (isLate) throw new Error(`Cannot wait any longer for ${words.join(" ")}: ${LIMIT_MS} ms have passed`);
    return output;
  } finally {
    clearTimeout(timer);
  }
}
