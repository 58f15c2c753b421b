/** Configurations at the edges of the specification, which other runtimes carry out: so does this one. */
import assert from "node:assert/strict";
import { exists } from "../../src/base/files.ts";
import { Box, host, type Spec } from "./runtime.ts";
import { test, testEach } from "./suite.ts";
import { until } from "../support/wait.ts";

const CPU = "/sys/fs/cgroup/cpu";
const USER_MAP = [{ containerID: 0, hostID: 100_000, size: 65_536 }];

/** Into a user namespace of its own, whose root may pass by what the machine's root made. */
function addUserNamespace(box: Box): void {
  box.spec.linux.namespaces.push({ type: "user" });
  Object.assign(box.spec.linux, { uidMappings: USER_MAP, gidMappings: USER_MAP });
  for (const dir of [box.dir, box.bundle, box.rootfs]) Deno.chmodSync(dir, 0o755);
}

/** Policy and real-time priority of the process, as the kernel tells them. */
function scheduling(pid: number): { policy: string; priority: string } {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`).replace(/^.*\) /, "").split(" ");
  return { policy: stat[38]!, priority: stat[37]! };
}

function hasShare(): boolean {
  return Number(Deno.readTextFileSync(`${ownGroup()}/cpu.rt_runtime_us`)) >= 20_000;
}

function ownGroup(): string {
  const own = /^\d+:(?:\w+,)*cpu(?:,\w+)*:(.*)/m.exec(Deno.readTextFileSync("/proc/self/cgroup"))![1]!;
  return `${CPU}${own === "/" ? "" : own}`;
}

/** Makes a group that has a share of real time to give. To be gone after the containers below it. */
function realTimeParent(): AsyncDisposable & { path: string } {
  const name = `rt-${crypto.randomUUID().slice(0, 8)}`;
  const above = `${ownGroup().slice(CPU.length)}/${name}`;
  Deno.mkdirSync(`${CPU}${above}`);
  Deno.writeTextFileSync(`${CPU}${above}/cpu.rt_runtime_us`, "20000");
  return {
    path: above,
    [Symbol.asyncDispose]: async () => {
      for (const hierarchy of Deno.readDirSync("/sys/fs/cgroup")) {
        await host("rmdir", `/sys/fs/cgroup/${hierarchy.name}${above}`);
      }
    },
  };
}

testEach([
  { policy: "SCHED_FIFO", number: "1", command: "run" },
  { policy: "SCHED_RR", number: "2", command: "run" },
  { policy: "SCHED_FIFO", number: "1", command: "exec" },
])(
  "runk-more C1: with a share of real time, $command starts a process by $policy",
  async ({ policy, number, command }) => {
    // Where the kernel shares out real time, a group that has none has none to give.
    const shares = exists(`${CPU}/cpu.rt_runtime_us`);
    if (shares && !hasShare()) return;
    await using parent = shares ? realTimeParent() : undefined;
    await using box = new Box();
    const id = box.id();
    if (parent) box.spec.linux.cgroupsPath = `${parent.path}/c`;
    if (shares) box.spec.linux.resources.cpu = { realtimeRuntime: 10_000, realtimePeriod: 1_000_000 };
    const scheduler = { policy, priority: 7 };
    if (command === "run") box.spec.process.scheduler = scheduler;
    box.sh("sleep 1000").save();
    await box.ok("run", "--detach", "--bundle", box.bundle, id);
    if (command === "run") {
      assert.deepEqual(scheduling((await box.state(id)).pid), { policy: number, priority: "7" });
      return;
    }
    const file = `${box.dir}/process.json`;
    const process = { ...box.spec.process, scheduler, args: ["/bin/cat", "/proc/self/stat"] };
    Deno.writeTextFileSync(file, JSON.stringify(process));
    const stat = (await box.ok("exec", "--process", file, id)).stdout.replace(/^.*\) /, "").split(" ");
    assert.deepEqual([stat[38], stat[37]], [number, "7"]);
  },
);

test("runk-more C1: a policy that is not for children holds for the first process", async () => {
  await using box = new Box();
  const id = box.id();
  box.spec.process.scheduler = { policy: "SCHED_BATCH", nice: 5, flags: ["SCHED_FLAG_RESET_ON_FORK"] };
  box.sh("sleep 1000").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  assert.equal(scheduling((await box.state(id)).pid).policy, "3");
  const file = `${box.dir}/process.json`;
  Deno.writeTextFileSync(file, JSON.stringify({ ...box.spec.process, args: ["/bin/cat", "/proc/self/stat"] }));
  const stat = (await box.ok("exec", "--process", file, id)).stdout.replace(/^.*\) /, "").split(" ");
  assert.equal(stat[38], "3");
});

testEach<{ what: string; options: string[]; isWritable: boolean }>([
  { what: "a bind over the root", options: ["rbind"], isWritable: true },
  { what: "a read-only bind over the root", options: ["rbind", "ro"], isWritable: false },
])("runk-more C2: $what is the container's root", async ({ options, isWritable }) => {
  await using box = new Box();
  const other = `${box.dir}/other`;
  await host("cp", "-a", box.rootfs, other);
  Deno.writeTextFileSync(`${other}/which`, "other");
  Deno.writeTextFileSync(`${other}/etc/passwd`, "root:x:0:0::/elsewhere:/bin/sh\n");
  box.spec.mounts.unshift({ destination: "/", type: "bind", source: other, options });
  const id = box.id();
  box.sh("cat /which; echo $HOME; (: >/new) 2>&1 && echo written; sleep 1000").save();
  const output = `${box.dir}/output`;
  assert.equal((await box.call(["run", "--detach", "--bundle", box.bundle, id], { output })).code, 0);
  const more = await box.ok("exec", id, "/bin/cat", "/which");
  assert.equal(more.stdout, "other");
  await until(() => /written|Read-only/.test(Deno.readTextFileSync(output)));
  const said = Deno.readTextFileSync(output);
  assert.equal(said.includes("written"), isWritable, said);
  assert.match(said, /^other\/elsewhere\n/);
  assert.equal(exists(`${other}/new`), isWritable);
  assert.ok(!exists(`${box.rootfs}/new`));
});

test("runk-more C2: mounts that stand before one on the root are hidden by it, those behind it are in it", async () => {
  await using box = new Box();
  const other = `${box.dir}/other`;
  await host("cp", "-a", box.rootfs, other);
  Deno.mkdirSync(`${other}/real`);
  // A link of the covered root counts no more.
  Deno.symlinkSync("/tmp", `${box.rootfs}/data`);
  Deno.symlinkSync("/real", `${other}/data`);
  const mount = (destination: string) => ({ destination, type: "tmpfs", source: "tmpfs", options: ["mode=755"] });
  box.spec.mounts.unshift(mount("/before"), {
    destination: "/",
    type: "bind",
    source: other,
    options: ["bind"],
  }, mount("/data"));
  const shown = await box.output("cut -d' ' -f2 /proc/mounts");
  assert.ok(shown.includes("/real") && !shown.includes("/before"), shown);
});

testEach<{ what: string; options: string[]; propagation: string }>([
  { what: "a bind", options: ["rbind"], propagation: "shared" },
  { what: "a shared bind", options: ["rbind", "rshared"], propagation: "rshared" },
  { what: "another bind", options: ["rbind", "rslave"], propagation: "slave" },
])(
  "runk-more C2: $what of a shared file system over the root, itself $propagation, leaves no mount on the machine",
  async ({ options, propagation }) => {
    await using box = new Box();
    const other = `${box.dir}/other`;
    Deno.mkdirSync(other);
    await host("mount", "-t", "tmpfs", "of-the-machine", other);
    try {
      await host("mount", "--make-shared", other);
      await host("cp", "-a", `${box.rootfs}/.`, other);
      box.spec.mounts.unshift({ destination: "/", type: "bind", source: other, options });
      box.spec.linux.rootfsPropagation = propagation;
      const before = mountsBelow(box.dir);
      const id = box.id();
      box.sh("sleep 1000").save();
      await box.ok("run", "--detach", "--bundle", box.bundle, id);
      assert.deepEqual(mountsBelow(box.dir), before);
      const { stdout } = await box.ok("exec", id, "/bin/cat", "/proc/self/mountinfo");
      const root = stdout.split("\n").find((line) => line.split(" ")[4] === "/") ?? "";
      assert.equal(/ shared:/.test(root), propagation.endsWith("shared"), root);
      await box.ok("delete", "--force", id);
      assert.deepEqual(mountsBelow(box.dir), before);
    } finally {
      await host("umount", "--lazy", other);
    }
  },
);

test("runk-more C4: a domain name that a sysctl sets otherwise is refused, as only one can be carried out", async () => {
  await using box = new Box();
  box.spec.domainname = "a.example";
  box.spec.linux.sysctl = { "kernel.domainname": "b.example" };
  const { code, stderr } = await box.run();
  assert.notEqual(code, 0);
  assert.match(stderr, /kernel\.domainname.*domainname/);
});

test("runk-more C4: a domain name may be set by a sysctl, also to what it is", async () => {
  await using box = new Box();
  box.spec.linux.sysctl = { "kernel.domainname": "b.example" };
  assert.equal(await box.output("cat /proc/sys/kernel/domainname"), "b.example");
  box.spec.domainname = "b.example";
  assert.equal(await box.output("cat /proc/sys/kernel/domainname"), "b.example");
});

test("runk-more C5: devices of the machine in a user namespace run no programs and give no rights", async () => {
  await using box = new Box();
  addUserNamespace(box);
  const options = await box.output("grep ' /dev/null ' /proc/mounts");
  assert.match(options, /nosuid/);
  assert.match(options, /noexec/);
  assert.match(await box.output("echo x >/dev/null && echo written"), /written/);
});

test("runk-more C6: a device that the machine has no node of is made for a user namespace", async () => {
  await using box = new Box();
  addUserNamespace(box);
  const device = { path: "/dev/ours", type: "c", major: 1, minor: 5, fileMode: 0o644, uid: 3, gid: 4 };
  box.spec.linux.devices = [device];
  // The machine's node of that name is another device.
  box.spec.linux.devices.push({ path: "/dev/ptmx-like", type: "p", fileMode: 0o600, uid: 0, gid: 0 });
  const said = await box.output(
    "stat -c '%F %t %T %a %u %g' /dev/ours; head -c 2 /dev/ours | od -An -tx1; stat -c %F /dev/ptmx-like",
  );
  assert.equal(said, "character special file 1 5 644 3 4\n 00 00\nfifo");
});

test("runk-more C6: a node of the machine that is another device is not taken for the one that is asked for", async () => {
  await using box = new Box();
  addUserNamespace(box);
  box.spec.linux.devices = [{ path: "/dev/kmsg", type: "c", major: 1, minor: 5, fileMode: 0o666 }];
  assert.equal(await box.output("stat -c '%t %T' /dev/kmsg"), "1 5");
});

test("runk-more C8: a memory policy without nodes holds for the first process and for those that join", async () => {
  await using box = new Box();
  const id = box.id();
  box.spec.linux.memoryPolicy = { mode: "MPOL_BIND", nodes: "0", flags: ["MPOL_F_STATIC_NODES"] };
  box.sh("sleep 1000").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  const maps = Deno.readTextFileSync(`/proc/${(await box.state(id)).pid}/numa_maps`);
  assert.match(maps, /bind=static:0/);
  assert.match((await box.ok("exec", id, "/bin/cat", "/proc/self/numa_maps")).stdout, /bind=static:0/);
});

testEach<{ mode: string; nodes?: string; flags?: string[]; isTaken: boolean }>([
  { mode: "MPOL_DEFAULT", isTaken: true },
  { mode: "MPOL_LOCAL", isTaken: true },
  { mode: "MPOL_PREFERRED", isTaken: true },
  { mode: "MPOL_PREFERRED", nodes: "0", isTaken: true },
  { mode: "MPOL_INTERLEAVE", nodes: "0", isTaken: true },
  { mode: "MPOL_DEFAULT", nodes: "0", isTaken: false },
  { mode: "MPOL_BIND", isTaken: false },
  { mode: "MPOL_BIND", nodes: "x", isTaken: false },
  { mode: "MPOL_BIND", nodes: "0", flags: ["MPOL_F_NOSUCH"], isTaken: false },
  { mode: "MPOL_NOSUCH", nodes: "0", isTaken: false },
])(
  "runk-more C8: of memory policies $mode of nodes $nodes is taken, or refused: $isTaken",
  async ({ isTaken, ...policy }) => {
    await using box = new Box();
    box.spec.linux.memoryPolicy = policy;
    const { code, stderr } = await box.sh("echo ran").run();
    assert.equal(code === 0, isTaken, stderr);
    if (!isTaken) assert.match(stderr, /memory ?policy|numa|nodes|mode/i);
  },
);

test("runk-more Y4: masked and read-only paths without a slash stand below the root", async () => {
  await using box = new Box();
  Deno.writeTextFileSync(`${box.rootfs}/secret`, "secret");
  Deno.mkdirSync(`${box.rootfs}/still`);
  box.spec.linux.maskedPaths.push("secret");
  box.spec.linux.readonlyPaths.push("still");
  const said = await box.output("cat /secret; (: >/still/file) && echo written; echo end");
  assert.equal(said, "end");
});

test("runk-more V2: a process that names one limit twice is refused, as the specification wants it", async () => {
  await using box = new Box();
  const id = box.id();
  box.sh("sleep 1000").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  const file = `${box.dir}/process.json`;
  const limit = { type: "RLIMIT_CORE", soft: 1, hard: 1 };
  const process: Spec = { ...box.spec.process, args: ["/bin/true"], rlimits: [limit, { ...limit, soft: 0 }] };
  Deno.writeTextFileSync(file, JSON.stringify(process));
  const { code, stderr } = await box.call(["exec", "--process", file, id]);
  assert.notEqual(code, 0);
  assert.match(stderr, /RLIMIT_CORE.*twice/);
});

testEach([{ user: "of its own" }, { user: "of the machine" }])(
  "runk 49: clocks of a container are moved, with a user namespace $user",
  async ({ user }) => {
    await using box = new Box();
    if (user === "of its own") addUserNamespace(box);
    box.spec.linux.namespaces.push({ type: "time" });
    box.spec.linux.timeOffsets = { boottime: { secs: 100_000, nanosecs: 0 }, monotonic: { secs: 7, nanosecs: 5 } };
    const said = Number(await box.output("cut -d. -f1 /proc/uptime"));
    assert.ok(Math.abs(said - parseInt(Deno.readTextFileSync("/proc/uptime")) - 100_000) < 100, `${said}`);
  },
);

/** Mount points at a directory and below it, as the machine sees them. */
function mountsBelow(directory: string): string[] {
  const points = Deno.readTextFileSync("/proc/self/mountinfo").split("\n").map((line) => line.split(" ")[4] ?? "");
  return points.filter((point) => `${point}/`.startsWith(`${directory}/`));
}

test("runk 38: without a mount namespace a container inherits that of its runtime, with its files as its root", async () => {
  await using box = new Box();
  const id = box.id();
  box.spec.linux.namespaces = box.spec.linux.namespaces.filter(({ type }: Spec) => type !== "mount");
  Deno.writeTextFileSync(`${box.rootfs}/which`, "the container's");
  box.sh("readlink /proc/self/ns/mnt; cat /which; sleep 1000").save();
  const output = `${box.dir}/output`;
  const before = Deno.readTextFileSync("/proc/self/mountinfo");
  assert.equal((await box.call(["run", "--detach", "--bundle", box.bundle, id], { output })).code, 0);
  await until(() => Deno.readTextFileSync(output).endsWith("container's"));
  assert.equal(Deno.readTextFileSync(output), `${Deno.readLinkSync("/proc/self/ns/mnt")}\nthe container's`);
  const { stdout } = await box.ok("exec", id, "/bin/sh", "-c", "cat /which; ls /");
  assert.match(stdout, /^the container's/);
  assert.doesNotMatch(stdout, /\b(usr|root|home)\b/);
  await box.ok("delete", "--force", id);
  assert.deepEqual(mountsBelow(box.rootfs), []);
  assert.equal(Deno.readTextFileSync("/proc/self/mountinfo"), before);
});

test("runk 38: a create that fails leaves no mount in the namespace of its runtime, and what stood there stays", async () => {
  await using box = new Box();
  box.spec.linux.namespaces = box.spec.linux.namespaces.filter(({ type }: Spec) => type !== "mount");
  await host("mount", "--bind", box.rootfs, box.rootfs);
  try {
    box.spec.process.args = ["/no/such"];
    const { code } = await box.run();
    assert.notEqual(code, 0);
    assert.deepEqual(mountsBelow(box.rootfs), [box.rootfs]);
  } finally {
    await host("umount", "--lazy", box.rootfs);
  }
});

test("runk 38: a container joins the mount namespace that its configuration names, whose root stays", async () => {
  await using box = new Box();
  const id = box.id();
  using stack = new DisposableStack();
  const holder = new Deno.Command("unshare", {
    args: ["--mount", "--propagation", "private", "sh", "-c", "echo ready; exec sleep 1000"],
    stdout: "piped",
  }).spawn();
  stack.defer(() => holder.kill());
  const reader = holder.stdout.getReader();
  await reader.read();
  await reader.cancel();
  const path = `/proc/${holder.pid}/ns/mnt`;
  box.spec.linux.namespaces.find(({ type }: Spec) => type === "mount").path = path;
  Deno.writeTextFileSync(`${box.rootfs}/which`, "the container's");
  box.sh("readlink /proc/self/ns/mnt; cat /which; sleep 1000").save();
  const output = `${box.dir}/output`;
  const { code, stderr } = await box.call(["run", "--detach", "--bundle", box.bundle, id], { output });
  assert.equal(code, 0, stderr);
  await until(() => Deno.readTextFileSync(output).endsWith("container's"));
  assert.equal(Deno.readTextFileSync(output), `${Deno.readLinkSync(path)}\nthe container's`);
  assert.equal((await box.ok("exec", id, "/bin/cat", "/which")).stdout, "the container's");
  assert.ok(exists(`/proc/${holder.pid}/root/usr`), "the root of others has changed");
  assert.deepEqual(mountsBelow(box.rootfs), []);
});
