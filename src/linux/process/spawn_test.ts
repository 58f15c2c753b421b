import assert from "node:assert/strict";
import { pipe } from "../io/fd.ts";
import { readText } from "../io/fd_stream.ts";
import { captureOutput, exitCode, spawn, type SpawnOptions } from "./spawn.ts";
import { leftOutUnlessRoot } from "../../base/testing/left_out.ts";

/** Runs a shell script and returns its standard output. */
async function say(script: string, options: Partial<SpawnOptions> = {}): Promise<string> {
  using output = pipe();
  const fds = [{ child: 1, fd: output.write }, ...options.fds ?? []];
  await using child = spawn({ path: "/bin/sh", args: ["sh", "-c", script], ...options, fds });
  output.write[Symbol.dispose]();
  const text = await readText(output.read);
  assert.deepEqual(await child.wait(), { code: 0 });
  return text.trim();
}

Deno.test("spawn() finds a name along PATH and passes arguments", async () => {
  await using child = spawn({ path: "sh", args: ["sh", "-c", "exit $1", "sh", "3"] });
  assert.deepEqual(await child.wait(), { code: 3 });
  assert.deepEqual(child.status, { code: 3 });
});

Deno.test.each([
  { path: "/no/such", cause: "execve: ENOENT" },
  { path: "no-such-program", cause: "execve: ENOENT" },
  { path: "/etc/passwd", cause: "execve: EACCES" },
])("spawn($path) says $cause", ({ path, cause }) => {
  assert.throws(() => spawn({ path }), (error: Error) => {
    assert.equal(error.message, `Cannot start "${path}"`);
    assert.equal((error.cause as Error).message, cause);
    return true;
  });
});

Deno.test("spawn() names the step before execve that failed", () => {
  assert.throws(() => spawn({ path: "/bin/true", cwd: "/no/such" }), (error: Error) => {
    assert.equal((error.cause as Error).message, "chdir /no/such: ENOENT");
    return true;
  });
});

Deno.test("spawn() hands over exactly the environment, the directory and the umask", async () => {
  assert.equal(await say("echo $A; umask; pwd", { env: { A: "b" }, cwd: "/usr", umask: 0o27 }), "b\n0027\n/usr");
});

Deno.test("spawn() refuses a variable that the program would read as another", () => {
  assert.throws(() => spawn({ path: "/bin/true", env: { "A=B": "" } }), /Cannot start/);
});

Deno.test("spawn() gives /dev/null for what is missing, and the descriptors by number", async () => {
  using input = pipe();
  const fds = [{ child: 5, fd: input.read }];
  input.write.writeAll(new TextEncoder().encode("by five\n"));
  assert.equal(
    await say("readlink /proc/self/fd/0; readlink /proc/self/fd/2; head -n1 <&5", { fds }),
    "/dev/null\n/dev/null\nby five",
  );
});

Deno.test("spawn() starts a session", async () => {
  const [pid, session] = (await say("echo $$; cut -d' ' -f6 /proc/self/stat", { newSession: true })).split("\n");
  assert.equal(pid, session);
});

Deno.test("wait() serves many callers, each with a signal of its own", async () => {
  await using child = spawn({ path: "/bin/sleep", args: ["sleep", "60"] });
  const aborted = child.wait({ signal: AbortSignal.timeout(5) });
  const waiting = [child.wait(), child.wait()];
  await assert.rejects(aborted, { name: "TimeoutError" });
  child.kill("SIGTERM");
  assert.deepEqual(await Promise.all(waiting), [{ signal: 15 }, { signal: 15 }]);
});

Deno.test("a child is killed at the end of its scope", async () => {
  let pid;
  {
    await using child = spawn({ path: "/bin/sleep", args: ["sleep", "60"] });
    pid = child.pid;
  }
  assert.throws(() => Deno.statSync(`/proc/${pid}`), Deno.errors.NotFound);
});

Deno.test.each([
  { status: { code: 3 }, code: 3 },
  { status: { signal: 9 }, code: 137 },
])("exitCode() is 128 + n for a signal: $code (B1)", ({ status, code }) => assert.equal(exitCode(status), code));

Deno.test("captureOutput() keeps stdout, stderr and the code apart", async () => {
  const output = await captureOutput("/bin/sh", ["-c", "echo out; echo err >&2; kill -9 $$"]);
  assert.deepEqual(output, { code: 137, stdout: "out\n", stderr: "err\n" });
});

Deno.test("captureOutput() kills the program when its signal fires", async () => {
  await assert.rejects(captureOutput("/bin/sleep", ["60"], { signal: AbortSignal.timeout(20) }), {
    name: "TimeoutError",
  });
});

Deno.test({
  name: "F14: spawn() with rights none leaves no capability in any set, and no way to one",
  ignore: leftOutUnlessRoot(import.meta),
  fn: async () => {
    const status = "grep -E '^(Cap|NoNewPrivs|Uid)' /proc/self/status | tr -s '\\t ' ' '";
    const none = "0".repeat(16);
    const sets = ["Inh", "Prm", "Eff", "Bnd", "Amb"].map((name) => `Cap${name}: ${none}`).join("\n");
    for (const uid of [0, 0x70000001]) {
      const said = await say(status, { rights: "none", uid, gid: uid });
      assert.equal(said, `Uid: ${Array(4).fill(uid).join(" ")}\n${sets}\nNoNewPrivs: 1`);
    }
  },
});
