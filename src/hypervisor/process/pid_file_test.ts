import assert from "node:assert/strict";
import { killRecorded, recordPid, startTime } from "./pid_file.ts";

Deno.test("killRecorded() ends what is recorded, but not who got the pid afterwards", async () => {
  const directory = Deno.makeTempDirSync({ prefix: "kata-pid-" });
  try {
    await using ours = new Deno.Command("sleep", { args: ["60"] }).spawn();
    await using other = new Deno.Command("sleep", { args: ["60"] }).spawn();
    recordPid(directory, { name: "qemu", pid: ours.pid });
    Deno.writeTextFileSync(`${directory}/virtiofsd.pid`, `${other.pid} 1\n`);
    Deno.writeTextFileSync(`${directory}/broken.pid`, "");

    assert.deepEqual(await killRecorded(directory), ["qemu"]);
    assert.equal((await ours.status).signal, "SIGKILL");
    assert.ok(startTime(other.pid) !== undefined);
    assert.deepEqual([...Deno.readDirSync(directory)], []);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

Deno.test("B38: killRecorded() of a directory that is gone does nothing", async () => {
  assert.deepEqual(await killRecorded("/no/such/directory"), []);
});

Deno.test("recordPid() removes its file at the end of the scope", () => {
  const directory = Deno.makeTempDirSync({ prefix: "kata-pid-" });
  {
    using _record = recordPid(directory, { name: "qemu", pid: Deno.pid });
    assert.equal(Deno.readTextFileSync(`${directory}/qemu.pid`), `${Deno.pid} ${startTime(Deno.pid)}\n`);
  }
  Deno.removeSync(directory);
});

Deno.test("startTime() of nobody is undefined", () => assert.equal(startTime(0x7fffffff), undefined));

/** Ends its first thread; the others, which Deno has, go on. Number of exit(2), on amd64 and arm64. */
const FIRST_THREAD_ENDS = `Deno.dlopen("libc.so.6", { syscall: { parameters: ["i64", "i64"], result: "i64" } })
  .symbols.syscall(Deno.build.arch === "x86_64" ? 60n : 93n, 0n)`;

Deno.test("startTime() and killRecorded() know a process whose first thread has ended by those that go on", async () => {
  const directory = Deno.makeTempDirSync({ prefix: "kata-pid-" });
  const child = new Deno.Command(Deno.execPath(), { args: ["eval", "--quiet", FIRST_THREAD_ENDS] }).spawn();
  const stat = () => Deno.readTextFileSync(`/proc/${child.pid}/stat`);
  try {
    recordPid(directory, { name: "qemu", pid: child.pid });
    while (!stat().includes(") Z ")) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.ok(startTime(child.pid) !== undefined);
    assert.deepEqual(await killRecorded(directory), ["qemu"]);
    assert.equal((await child.status).signal, "SIGKILL");
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});
