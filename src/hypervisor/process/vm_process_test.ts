import assert from "node:assert/strict";
import { createLogger } from "../../base/log.ts";
import { pipe } from "../../linux/io/fd.ts";
import { outputOf, VmProcess } from "./vm_process.ts";

/** A run directory, and a shell that runs in it; the lines it logged are kept. */
function shell(script: string, fds: Parameters<typeof VmProcess.start>[0]["fds"] = []) {
  const runDir = Deno.makeTempDirSync({ prefix: "kata-process-" });
  const lines: string[] = [];
  const log = createLogger({ sink: (line) => lines.push(JSON.parse(line).msg) });
  const process = VmProcess.start({ name: "vmm", path: "/bin/sh", args: ["-c", script], runDir, log, fds });
  return {
    process,
    runDir,
    lines,
    async [Symbol.asyncDispose]() {
      await process[Symbol.asyncDispose]();
      Deno.removeSync(runDir, { recursive: true });
    },
  };
}

Deno.test("B46: VmProcess tells how the process ended, with its last words", async () => {
  await using sh = shell("for i in 1 2 3 4 5 6 7; do echo line $i >&2; done; exit 3");
  const { status, reason } = await sh.process.ended;
  assert.deepEqual(status, { code: 3 });
  assert.equal(
    reason,
    `vmm (pid ${sh.process.pid}) exited with status 3; it said: line 3 | line 4 | line 5 | line 6 | line 7`,
  );
  assert.ok(sh.lines.includes("line 1"));
  assert.equal(sh.process.died.reason.message, reason);
});

Deno.test("VmProcess does not wait for a child that keeps standard error open", async () => {
  await using sh = shell("echo bye >&2; sleep 5 & kill -9 $$");
  assert.equal((await sh.process.ended).reason, `vmm (pid ${sh.process.pid}) was killed by SIGKILL; it said: bye`);
});

Deno.test("VmProcess kills the process and removes its pid file when disposed, twice too (B38)", async () => {
  await using sh = shell("exec sleep 60");
  assert.match(Deno.readTextFileSync(`${sh.runDir}/vmm.pid`), new RegExp(`^${sh.process.pid} \\d+\n$`));
  await sh.process[Symbol.asyncDispose]();
  await sh.process[Symbol.asyncDispose]();
  assert.deepEqual((await sh.process.ended).status, { signal: 9 });
  assert.deepEqual([...Deno.readDirSync(sh.runDir)], []);
});

Deno.test("VmProcess hands descriptors over by number", async () => {
  using ends = pipe();
  await using sh = shell("echo through >&5", [{ child: 5, fd: ends.write }]);
  await sh.process.ended;
  const buffer = new Uint8Array(20);
  assert.equal(new TextDecoder().decode(buffer.subarray(0, ends.read.read(buffer))), "through\n");
});

Deno.test("B46: VmProcess.start() names a program that is missing", () => {
  const log = createLogger({ sink: () => {} });
  const start = () => VmProcess.start({ name: "vmm", path: "/no/such/qemu", args: [], runDir: "/tmp", log });
  assert.throws(start, (error: Error) => {
    assert.equal(error.message, 'Cannot start "/no/such/qemu"');
    assert.match(String((error.cause as Error).message), /ENOENT/);
    return true;
  });
});

Deno.test("outputOf() reads both streams to the end", async () => {
  assert.equal(await outputOf("/bin/sh", ["-c", "echo out; echo err >&2"]), "out\nerr\n");
});
