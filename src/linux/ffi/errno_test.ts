import assert from "node:assert/strict";
import { ErrnoError, errnoName, isErrno } from "./errno.ts";

Deno.test("ErrnoError names call, detail and errno", () => {
  const error = new ErrnoError("mount", 16, "/dev/vda on /run");
  assert.equal(error.message, "mount /dev/vda on /run: EBUSY");
  assert.deepEqual([error.syscall, error.errno, error.code], ["mount", 16, "EBUSY"]);
  assert.equal(new ErrnoError("setsid", 1).message, "setsid: EPERM");
});

Deno.test("errnoName() shows a number without a name", () => assert.equal(errnoName(999), "errno 999"));

Deno.test("isErrno() knows our errors and Deno's", () => {
  assert.ok(isErrno(new ErrnoError("open", 2), "EACCES", "ENOENT"));
  assert.ok(!isErrno(new ErrnoError("open", 2), "EACCES"));
  assert.throws(() => Deno.readTextFileSync("/no/such"), (error) => isErrno(error, "ENOENT"));
  assert.ok(!isErrno("ENOENT", "ENOENT"));
  assert.ok(!isErrno(new Error("ENOENT"), "ENOENT"));
});

Deno.test("isErrno() knows the errors of Deno that have a number only, such as that of a file of a process that has ended", async () => {
  const child = new Deno.Command("cat", { stdin: "piped" }).spawn();
  using stat = Deno.openSync(`/proc/${child.pid}/stat`);
  await child.stdin.close();
  await child.status;
  assert.throws(() => stat.readSync(new Uint8Array(1)), (error) => isErrno(error, "ESRCH") && !isErrno(error, "EIO"));
  assert.ok(isErrno(new Error("No such process (os error 3): readfile '/proc/7/stat'"), "ESRCH"));
  assert.ok(!isErrno(new Error('Cannot end "x": No such process (os error 3)'), "ESRCH"));
});
