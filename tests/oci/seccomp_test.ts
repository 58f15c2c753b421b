/** Filters without no_new_privs: what they forbid is forbidden to the program, not to those that bring it there. */
import assert from "node:assert/strict";
import { Box } from "./runtime.ts";
import { test, testEach } from "./suite.ts";
import { LITTLE_ENDIAN } from "../../src/linux/ffi/libc.ts";

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

/** An executable that makes one system call without arguments and exits with its errno. */
function caller(number: number): Uint8Array<ArrayBuffer> {
  const [low, high] = [number & 0xff, number >> 8];
  const code = Deno.build.arch === "x86_64"
    // mov eax, number; syscall; neg eax; mov edi, eax; mov eax, exit_group; syscall
    ? [0xb8, low, high, 0, 0, 0x0f, 0x05, 0xf7, 0xd8, 0x89, 0xc7, 0xb8, 231, 0, 0, 0, 0x0f, 0x05]
    : [...words(0xd2800008 | (number << 5)), ...words(0xd4000001, 0xcb0003e0, 0xd2800bc8, 0xd4000001)];
  const [headers, base] = [64 + 56, 0x400000];
  const view = new DataView(new ArrayBuffer(headers + code.length));
  [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1].forEach((byte, index) => view.setUint8(index, byte));
  view.setUint16(16, 2, LITTLE_ENDIAN);
  view.setUint16(18, Deno.build.arch === "x86_64" ? 62 : 183, LITTLE_ENDIAN);
  view.setUint32(20, 1, LITTLE_ENDIAN);
  view.setUint32(24, base + headers, LITTLE_ENDIAN);
  view.setUint32(32, 64, LITTLE_ENDIAN);
  [64, 56, 1].forEach((value, index) => view.setUint16(52 + 2 * index, value, LITTLE_ENDIAN));
  // One segment: readable, executable, all of the file.
  [1, 5, 0, 0, base, 0, base, 0, view.byteLength, 0, view.byteLength, 0, 0x1000].forEach((value, index) =>
    view.setUint32(64 + 4 * index, value, LITTLE_ENDIAN)
  );
  const bytes = new Uint8Array(view.buffer);
  bytes.set(code, headers);
  return bytes;
}

function words(...values: number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

const [DENIED, ENOSYS] = [42, 38];

/** Old calls, among them those that runtimes in Go make before the program's first. */
const OLD =
  ("execve exit_group exit write close_range faccessat2 futex rt_sigreturn rt_sigprocmask rt_sigaction nanosleep " +
    "mmap munmap madvise read close fcntl openat newfstatat fstat tgkill sched_yield epoll_pwait getpid gettid " +
    "sigaltstack prctl capget capset fstatfs getdents64 readlinkat").split(" ");

testEach([
  { number: 434, what: "left out among those named", errno: DENIED },
  { number: 440, what: "newer than all that are named", errno: ENOSYS },
  { number: 452, what: "much newer", errno: ENOSYS },
  { number: 500, what: "of no kernel yet", errno: ENOSYS },
])("runk 02: a system call that is $what has errno $errno", async ({ number, errno }) => {
  await using box = new Box();
  Deno.writeFileSync(`${box.rootfs}/bin/call`, caller(number), { mode: 0o755 });
  // The newest is faccessat2, 439.
  box.spec.linux.seccomp = {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: DENIED,
    architectures: [`SCMP_ARCH_${Deno.build.arch.toUpperCase()}`],
    syscalls: [{ names: OLD, action: "SCMP_ACT_ALLOW" }],
  };
  box.spec.process.args = ["/bin/call"];
  const { code, stderr } = await box.run();
  assert.equal(code, errno, stderr);
});
