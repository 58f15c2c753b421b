import assert from "node:assert/strict";
import { testAssembly } from "../../../src/linux/child_program/testing/assembler.ts";
import { launcher, launcherCode } from "./launcher.ts";

testAssembly("launcherCode", { sources: new URL(".", import.meta.url), bytes: launcherCode });

async function launch(...args: string[]): Promise<{ code: number; stdout: string }> {
  const path = await Deno.makeTempFile({ prefix: "kata-launcher-" });
  try {
    await Deno.writeFile(path, launcher(Deno.build.arch));
    await Deno.chmod(path, 0o755);
    const { code, stdout } = await new Deno.Command(path, { args, env: { WORD: "word" } }).output();
    return { code, stdout: new TextDecoder().decode(stdout) };
  } finally {
    await Deno.remove(path);
  }
}

Deno.test("launcher() passes on arguments, environment and the name", async () => {
  const result = await launch(
    "/bin",
    "sh",
    "-c",
    'echo "$@" $WORD; tr "\\0" " " </proc/$$/cmdline | cut -c1-5',
    "x",
    "a b",
  );
  assert.deepEqual(result, { code: 0, stdout: "a b word\nsh -c\n" });
});

Deno.test("launcher() ends with 127 if there is no such program", async () => {
  assert.equal((await launch("/no/such", "sh")).code, 127);
  assert.equal((await launch("/bin", "no-such-program")).code, 127);
});
