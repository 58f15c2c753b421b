import assert from "node:assert/strict";
import { assembleInit, type Step } from "./init_program.ts";

async function runInit(steps: Step[]): Promise<{ code: number; stdout: string }> {
  const path = await Deno.makeTempFile({ prefix: "kata-init-" });
  try {
    await Deno.writeFile(path, assembleInit(steps, Deno.build.arch), { mode: 0o755 });
    await Deno.chmod(path, 0o755);
    const { code, stdout } = await new Deno.Command(path).output();
    return { code, stdout: new TextDecoder().decode(stdout) };
  } finally {
    await Deno.remove(path);
  }
}

const AT_FDCWD = -100;
const end: Step = { call: "exit", args: [0], onError: "ignore" };

function print(text: string): Step {
  return { call: "write", args: [1, new TextEncoder().encode(text), text.length], onError: "stop" };
}

Deno.test("assembleInit() runs its steps in order", async () => {
  assert.deepEqual(await runInit([print("one "), print("two"), end]), { code: 0, stdout: "one two" });
});

Deno.test("assembleInit() ends at a failing step and names it", async () => {
  const missing: Step = { call: "openat", args: [AT_FDCWD, "/no/such", 0, 0], onError: "stop" };
  assert.deepEqual(await runInit([print("x"), missing, print("y")]), {
    code: 1,
    stdout: "xinit: Cannot openat /no/such\n",
  });
});

Deno.test("assembleInit() goes on after a step whose error is ignored", async () => {
  const missing: Step = { call: "openat", args: [AT_FDCWD, "/no/such", 0, 0], onError: "ignore" };
  assert.deepEqual(await runInit([missing, print("on"), end]), { code: 0, stdout: "on" });
});

Deno.test("assembleInit() retries a step with 10 ms in between", async () => {
  const path = await Deno.makeTempFile();
  await Deno.remove(path);
  const started = performance.now();
  const steps: Step[] = [
    { call: "openat", args: [AT_FDCWD, path, 0, 0], onError: "stop", retries: 1000 },
    print("found"),
    end,
  ];
  const running = runInit(steps);
  await new Promise((resolve) => setTimeout(resolve, 50));
  await Deno.writeTextFile(path, "");
  assert.deepEqual(await running, { code: 0, stdout: "found" });
  assert.ok(performance.now() - started < 5000);
  await Deno.remove(path);
});

Deno.test("assembleInit() gives up after the last retry", async () => {
  const steps: Step[] = [{ call: "openat", args: [AT_FDCWD, "/no/such", 0, 0], onError: "stop", retries: 3 }];
  assert.equal((await runInit(steps)).code, 1);
});

Deno.test("assembleInit() passes arrays of strings, as execve needs them", async () => {
  const shell: Step = {
    call: "execve",
    args: ["/bin/sh", ["/bin/sh", "-c", "echo $GREETING"], ["GREETING=hello"]],
    onError: "stop",
  };
  assert.deepEqual(await runInit([shell]), { code: 0, stdout: "hello\n" });
});
