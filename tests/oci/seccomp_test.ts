/** Filters without no_new_privs: what they forbid is forbidden to the program, not to those that bring it there. */
import assert from "node:assert/strict";
import { Box } from "./runtime.ts";
import { test, testEach } from "./suite.ts";

testEach([
  { command: "exec", forbids: ["mkdir"] },
  { command: "exec", forbids: ["mkdir", "setsid", "exit_group"] },
  { command: "create", forbids: ["mkdir"] },
  { command: "create", forbids: ["mkdir", "setsid", "exit_group"] },
])("seccomp, F4: a filter that forbids $forbids holds, once, for what $command starts among others", async (row) => {
  const { command, forbids } = row;
  await using box = new Box();
  box.spec.linux.seccomp = {
    defaultAction: "SCMP_ACT_ALLOW",
    syscalls: [{ names: forbids, action: "SCMP_ACT_ERRNO", errnoRet: 42 }],
  };
  box.spec.process.noNewPrivileges = false;
  const first = box.id();
  box.sh("sleep 1000").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, first);
  const script = "cat /proc/$$/stat /proc/$$/status; mkdir /tmp/x 2>&1; kill -9 $$";
  const args = ["exec", first, "/bin/sh", "-c", script];
  if (command === "create") {
    box.spec.linux.namespaces.find(({ type }: { type: string }) => type === "pid").path = `/proc/${
      (await box.state(first)).pid
    }/ns/pid`;
    box.spec.linux.cgroupsPath += "-beside";
    box.sh(script).save();
    args.splice(0, args.length, "run", "--bundle", box.bundle, box.id());
  }
  const { stdout, stderr } = await box.call(args);
  const [pid, , , , group, session] = stdout.split(" ");
  assert.deepEqual([group, session], [pid, pid], stderr);
  assert.match(stdout, /^NoNewPrivs:\t0\nSeccomp:\t2\nSeccomp_filters:\t1$/m);
  assert.match(stdout, /^TracerPid:\t0$/m);
  assert.match(stdout, /No message of desired type/);
  const [, rights = ""] = /^CapPrm:\t(\w+)$/m.exec(stdout) ?? [];
  assert.equal(BigInt(`0x${rights}`) & (1n << 21n), 0n, "CAP_SYS_ADMIN");
});

test("seccomp: a container whose program cannot run ends under a filter that forbids to exit", async () => {
  await using box = new Box();
  box.spec.linux.seccomp = {
    defaultAction: "SCMP_ACT_ALLOW",
    syscalls: [{ names: ["exit_group"], action: "SCMP_ACT_ERRNO" }],
  };
  Deno.writeTextFileSync(`${box.rootfs}/bin/script`, "#!/bin/missing\n", { mode: 0o755 });
  box.spec.process.args = ["/bin/script"];
  box.save();
  const id = box.id();
  await box.ok("create", "--bundle", box.bundle, id);
  await box.call(["start", id]);
  await box.until(id, "stopped");
});
