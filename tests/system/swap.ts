/** Two names that change places all the time, for attacks that need the right moment. @module */

/** Exchanges two names all the time. Disposing it ends that. */
export async function swap(one: string, other: string): Promise<AsyncDisposable> {
  const script = new URL("swap_names.ts", import.meta.url).pathname;
  const args = ["run", "--quiet", "-A", script, one, other];
  const child = new Deno.Command(Deno.execPath(), { args, stdout: "piped" }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  await reader.cancel();
  return {
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.status;
    },
  };
}
