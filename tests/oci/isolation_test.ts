/** Namespaces, ids, seccomp, sysctls and hooks. */
import assert from "node:assert/strict";
import { exists } from "../../src/base/files.ts";
import { Box, type Spec } from "./runtime.ts";
import { test, testEach } from "./suite.ts";

const NAMESPACES = { pid: "pid", ipc: "ipc", uts: "uts", mount: "mnt", network: "net", cgroup: "cgroup" };

test("namespaces: each of the spec is a new one, each absent one the host's", async () => {
  await using box = new Box();
  for (const [type, file] of Object.entries(NAMESPACES)) {
    box.spec.linux.namespaces = Object.keys(NAMESPACES).map((name) => ({ type: name }));
    const own = await box.output(`readlink /proc/self/ns/${file}`);
    assert.notEqual(own, Deno.readLinkSync(`/proc/self/ns/${file}`), type);
  }
  box.spec.linux.namespaces = [{ type: "mount" }, { type: "pid" }, { type: "uts" }];
  assert.equal(await box.output("readlink /proc/self/ns/net"), Deno.readLinkSync("/proc/self/ns/net"));
});

test("namespaces: joins the ones given by path", async () => {
  await using box = new Box();
  const first = box.id();
  box.sh("sleep 100").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, first);
  const { pid } = await box.state(first);
  box.spec.linux.namespaces = [
    { type: "pid", path: `/proc/${pid}/ns/pid` },
    { type: "ipc", path: `/proc/${pid}/ns/ipc` },
    { type: "uts", path: `/proc/${pid}/ns/uts` },
    { type: "network", path: `/proc/${pid}/ns/net` },
    { type: "mount" },
  ];
  delete box.spec.hostname;
  box.spec.linux.cgroupsPath += "-second";
  const links = await box.output(
    "for n in ipc uts net; do readlink /proc/self/ns/$n; done; [ $$ -gt 1 ] && cat /proc/1/cmdline",
  );
  const want = ["ipc", "uts", "net"].map((name) => Deno.readLinkSync(`/proc/${pid}/ns/${name}`));
  assert.deepEqual(links.split("\n").slice(0, 3), want);
  assert.match(links, /sleep/);
});

testEach([
  { options: [] },
  { options: ["nosuid", "noexec", "nodev"] },
  { options: ["ro", "noatime", "hidepid=2", "gid=7"] },
])("namespaces: a proc in a pid namespace that is joined is mounted with $options", async ({ options }) => {
  await using box = new Box();
  const id = box.id();
  box.spec.mounts.find(({ destination }: { destination: string }) => destination === "/proc").options = options;
  box.spec.linux.readonlyPaths = [];
  box.sh("sleep 100").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  const { stdout } = await box.ok("exec", id, "/bin/grep", " /proc proc", "/proc/self/mounts");
  box.spec.linux.namespaces.find(({ type }: { type: string }) => type === "pid").path = `/proc/${
    (await box.state(id)).pid
  }/ns/pid`;
  box.spec.linux.cgroupsPath += "-second";
  assert.equal(await box.output("grep ' /proc proc' /proc/self/mounts; cat /proc/1/comm"), `${stdout}sleep`);
});

test("namespaces: a path that is not a namespace is an error naming it", async () => {
  await using box = new Box();
  box.spec.linux.namespaces = [{ type: "mount" }, { type: "uts" }, { type: "network", path: "/no/such/netns" }];
  const { code, stderr } = await box.run();
  assert.equal(code, 1);
  assert.match(stderr, /\/no\/such\/netns/);
});

test("namespaces: hostname is set in the container only", async () => {
  await using box = new Box();
  box.spec.hostname = "inside";
  assert.equal(await box.output("hostname"), "inside");
  assert.notEqual(Deno.hostname(), "inside");
});

/** Maps its root to 100000:200000 outside, which owns the root file system. */
function addUserNamespace(box: Box): void {
  box.spec.linux.namespaces.push({ type: "user" });
  box.spec.linux.uidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
  box.spec.linux.gidMappings = [{ containerID: 0, hostID: 200000, size: 65536 }];
  Deno.chmodSync(box.dir, 0o755);
  Deno.chownSync(box.rootfs, 100000, 200000);
}

test("user namespace: ids are mapped, root inside is nobody outside", async () => {
  await using box = new Box();
  addUserNamespace(box);
  Deno.chownSync(`${box.rootfs}/tmp`, 100000, 200000);
  const text = await box.output(
    "id -u; cat /proc/self/uid_map; cat /proc/self/gid_map; touch /tmp/mine; echo x > /dev/null; grep CapEff /proc/self/status",
  );
  assert.match(text, /^0\n +0 +100000 +65536\n +0 +200000 +65536\nCapEff:\t(?!0{16})/);
  const { uid, gid } = Deno.statSync(`${box.rootfs}/tmp/mine`);
  assert.deepEqual([uid, gid], [100000, 200000]);
});

testEach([
  { others: "all of its own", joined: [] },
  { others: "some shared as in a pod", joined: ["ipc", "uts", "network"] },
  { others: "all shared but mounts", joined: ["ipc", "uts", "network", "pid"] },
])("user namespace: one that is joined owns the container's other namespaces, $others", async ({ joined }) => {
  await using box = new Box();
  const first = box.id();
  addUserNamespace(box);
  box.sh("sleep 100").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, first);
  const { pid } = await box.state(first);
  const link = (process: number, type: string) => `/proc/${process}/ns/${KINDS[type as keyof typeof KINDS]}`;
  for (const namespace of box.spec.linux.namespaces) {
    if (["user", ...joined].includes(namespace.type)) namespace.path = link(pid, namespace.type);
  }
  if (joined.includes("uts")) delete box.spec.hostname;
  box.spec.linux.cgroupsPath += "-second";
  box.spec.linux.sysctl = joined.length === 0 ? { "net.ipv4.ip_forward": "1", "kernel.shmmax": "100000" } : {};
  const second = box.id();
  box.sh("sleep 200").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, second);
  const { stdout } = await box.ok(
    "exec",
    second,
    "/bin/sh",
    "-c",
    "id -u; hostname; echo up >/dev/shm/x && cat /dev/shm/x",
  );
  assert.equal(stdout, "0\nbox\nup\n");
  const { pid: own } = await box.state(second);
  for (const type of Object.keys(KINDS)) {
    const isShared = Deno.readLinkSync(link(own, type)) === Deno.readLinkSync(link(pid, type));
    assert.equal(isShared, ["user", ...joined].includes(type), type);
  }
});

const KINDS = { user: "user", pid: "pid", ipc: "ipc", uts: "uts", mount: "mnt", network: "net" } as const;

test("user namespace: what only the machine's root can get to is mounted", async () => {
  await using box = new Box();
  addUserNamespace(box);
  const hidden = `${box.dir}/hidden`;
  Deno.mkdirSync(hidden, { mode: 0o700 });
  Deno.writeTextFileSync(`${hidden}/file`, "text");
  box.spec.mounts.push({ destination: "/file", source: `${hidden}/file`, type: "bind", options: ["bind", "ro"] });
  assert.equal(await box.output("cat /file; (: >/file) 2>/dev/null || echo"), "text");
});

test("user namespace: message queues are its root's", async () => {
  await using box = new Box();
  addUserNamespace(box);
  assert.equal(await box.output("stat -c %u /dev/mqueue"), "0");
});

test("user namespace: hooks inside are its root", async () => {
  await using box = new Box();
  addUserNamespace(box);
  Deno.chmodSync(box.dir, 0o777);
  Deno.mkdirSync(`${box.rootfs}${box.dir}`, { recursive: true });
  Deno.chmodSync(`${box.rootfs}${box.dir}`, 0o777);
  const script = `cat >/dev/null; id -u >${box.dir}/ids; busybox chown 1:2 ${box.dir}/ids`;
  const hook = { path: "/bin/sh", args: ["sh", "-c", script], env: ["PATH=/bin:/usr/bin"] };
  box.spec.hooks = { createContainer: [hook], startContainer: [hook] };
  await box.output("true");
  for (const path of [`${box.dir}/ids`, `${box.rootfs}${box.dir}/ids`]) {
    const { uid, gid } = Deno.statSync(path);
    assert.deepEqual([Deno.readTextFileSync(path), uid, gid], ["0\n", 100001, 200002]);
  }
});

test("user namespace: /dev/ptmx is the container's own, also where the spec names the machine's", async () => {
  await using box = new Box();
  addUserNamespace(box);
  box.spec.linux.devices = [{ path: "/dev/ptmx", type: "c", major: 5, minor: 2, fileMode: 0o666, uid: 0, gid: 0 }];
  assert.equal(await box.output("readlink /dev/ptmx"), "pts/ptmx");
});

test("sysctl: of the container's own namespaces is set, of the host's refused", async () => {
  await using box = new Box();
  box.spec.linux.sysctl = { "net.ipv4.ip_forward": "1", "kernel.shm_rmid_forced": "1" };
  assert.equal(await box.output("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shm_rmid_forced"), "1\n1");
  box.spec.linux.sysctl = { "vm.swappiness": "1" };
  const { code, stderr } = await box.run();
  assert.equal(code, 1);
  assert.match(stderr, /vm\.swappiness/);
});

test("seccomp: actions and arguments of the profile hold", async () => {
  await using box = new Box();
  box.spec.linux.seccomp = {
    defaultAction: "SCMP_ACT_ALLOW",
    architectures: ["SCMP_ARCH_X86_64"],
    syscalls: [
      { names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 28 },
      { names: ["personality"], action: "SCMP_ACT_ERRNO", args: [{ index: 0, value: 8, op: "SCMP_CMP_EQ" }] },
    ],
  };
  const text = await box.output("grep Seccomp: /proc/self/status; mkdir /tmp/x 2>&1 || true; echo alive");
  assert.match(text, /Seccomp:\t2\n.*No space left on device\nalive/);
});

test("seccomp: SCMP_ACT_KILL ends the process", async () => {
  await using box = new Box();
  box.spec.linux.seccomp = {
    defaultAction: "SCMP_ACT_ALLOW",
    syscalls: [{ names: ["sethostname"], action: "SCMP_ACT_KILL_PROCESS" }],
  };
  assert.equal(await box.output("hostname x 2>/dev/null; echo $?"), String(128 + 31));
});

test("seccomp: an unknown action is an error naming it", async () => {
  await using box = new Box();
  box.spec.linux.seccomp = { defaultAction: "SCMP_ACT_NOSUCH" };
  const { code, stderr } = await box.run();
  assert.equal(code, 1);
  assert.match(stderr, /SCMP_ACT_NOSUCH/);
});

/** A hook that appends its name and the state it gets on stdin to a file. */
function hook(box: Box, name: string): { path: string; args: string[]; env: string[] } {
  return {
    path: "/bin/sh",
    args: ["sh", "-c", `state=$(cat); echo "${name} $WORD $state" >> ${box.dir}/hooks`],
    env: ["PATH=/bin:/usr/bin", "WORD=word"],
  };
}

test("hooks: each runs at its moment, with the state on stdin and its own environment", async () => {
  await using box = new Box();
  const id = box.id();
  box.spec.hooks = {
    prestart: [hook(box, "prestart")],
    createRuntime: [hook(box, "createRuntime")],
    poststart: [hook(box, "poststart")],
    poststop: [hook(box, "poststop")],
  };
  box.sh("sleep 100").save();
  const seen = () => {
    const lines = Deno.readTextFileSync(`${box.dir}/hooks`).trim().split("\n");
    return lines.map((line) => ({ name: line.split(" ")[0], state: JSON.parse(line.replace(/^\S+ word /, "")) }));
  };
  await box.ok("create", "--bundle", box.bundle, id);
  // runc runs poststart at the end of create already, so only what must have run is compared here.
  assert.deepEqual(seen().map(({ name }) => name).slice(0, 2), ["prestart", "createRuntime"]);
  await box.ok("start", id);
  assert.deepEqual(seen().map(({ name }) => name), ["prestart", "createRuntime", "poststart"]);
  const { pid } = await box.state(id);
  for (const { state } of seen()) assert.deepEqual([state.id, state.pid, state.bundle], [id, pid, box.bundle]);
  await box.ok("delete", "--force", id);
  assert.deepEqual(seen().at(-1), { name: "poststop", state: { ...seen().at(-1)!.state, id, status: "stopped" } });
});

test("hooks: createContainer and startContainer run in the container's namespaces", async () => {
  await using box = new Box();
  const script = (name: string) => `cat >/dev/null; echo ${name} $(readlink /proc/self/ns/mnt) >> ${box.dir}/hooks`;
  Deno.mkdirSync(`${box.rootfs}${box.dir}`, { recursive: true });
  box.spec.hooks = {
    createContainer: [{ path: "/bin/sh", args: ["sh", "-c", script("createContainer")], env: ["PATH=/bin:/usr/bin"] }],
    startContainer: [{ path: "/bin/sh", args: ["sh", "-c", script("startContainer")], env: ["PATH=/bin"] }],
  };
  const own = await box.output("readlink /proc/self/ns/mnt");
  // createContainer still sees the host's tree, startContainer the container's.
  assert.equal(Deno.readTextFileSync(`${box.dir}/hooks`), `createContainer ${own}\n`);
  assert.equal(Deno.readTextFileSync(`${box.rootfs}${box.dir}/hooks`), `startContainer ${own}\n`);
});

test("hooks: one that fails stops the create and leaves nothing", async () => {
  await using box = new Box();
  const id = box.id();
  box.spec.hooks = { createRuntime: [{ path: "/bin/sh", args: ["sh", "-c", "echo broken >&2; exit 3"] }] };
  const { code, stderr } = await box.run(id);
  assert.equal(code, 1);
  assert.match(stderr, /hook/);
  assert.notEqual((await box.call(["state", id])).code, 0);
});

test("hooks: startContainer, whose program is the image's, has no more rights than the container's process", async () => {
  await using box = new Box();
  const script =
    "cat >/dev/null; grep -E '^(Uid|Groups|Cap...|NoNewPrivs|Seccomp):' /proc/self/status; cat /proc/self/cgroup";
  const record = `{ ${script}; } > /tmp/`;
  box.spec.process.user = { uid: 1000, gid: 1000, additionalGids: [7] };
  box.spec.linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW" };
  box.spec.hooks = {
    startContainer: [{ path: "/bin/sh", args: ["sh", "-c", `${record}hook`], env: ["PATH=/bin"] }],
  };
  Deno.chmodSync(`${box.rootfs}/tmp`, 0o1777);
  await box.output(`${record}process </dev/null`);
  const [hook, process] = ["hook", "process"].map((name) => Deno.readTextFileSync(`${box.rootfs}/tmp/${name}`));
  assert.equal(hook, process);
});

test("hooks: startContainer that fails stops the container", async () => {
  await using box = new Box();
  const id = box.id();
  box.spec.hooks = { startContainer: [{ path: "/bin/false" }] };
  box.sh(": > /tmp/ran").save();
  await box.ok("create", "--bundle", box.bundle, id);
  await box.call(["start", id]); // an error, but for runc
  await box.until(id, "stopped");
  assert.ok(!exists(`${box.rootfs}/tmp/ran`));
});

test("hooks: poststop follows a create that fails after other hooks, for what they have made", async () => {
  await using box = new Box();
  const failing = { path: "/bin/sh", args: ["sh", "-c", "exit 3"] };
  box.spec.hooks = { prestart: [hook(box, "prestart")], createRuntime: [failing], poststop: [hook(box, "poststop")] };
  assert.equal((await box.run()).code, 1);
  const names = Deno.readTextFileSync(`${box.dir}/hooks`).trim().split("\n").map((line) => line.split(" ")[0]);
  assert.deepEqual(names, ["prestart", "poststop"]);
});

test("hooks: one that runs longer than its timeout is killed and fails the create", async () => {
  await using box = new Box();
  box.spec.hooks = { createRuntime: [{ path: "/bin/sleep", args: ["sleep", "60"], timeout: 1 }] };
  const start = Date.now();
  assert.equal((await box.run()).code, 1);
  assert.ok(Date.now() - start < 20_000);
});

test("labels: of a security module that this machine lacks are refused by name, for exec as well", async () => {
  await using box = new Box();
  const id = box.id();
  box.sh("sleep 100").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  const modules = [
    { name: /selinux/i, key: "selinuxLabel", flag: "--process-label", file: "/sys/fs/selinux/enforce" },
    { name: /apparmor/i, key: "apparmorProfile", flag: "--apparmor", file: "/sys/module/apparmor/parameters/enabled" },
  ].filter(({ file }) => !exists(file));
  for (const { name, flag } of modules) {
    const { code, stderr } = await box.call(["exec", flag, "some-label", id, "/bin/true"]);
    assert.equal(code, 255);
    assert.match(stderr, name);
  }
  for (const { name, key } of modules) {
    box.spec.process[key] = "some-label";
    const { code, stderr } = await box.run();
    assert.equal(code, 1);
    assert.match(stderr, name);
    delete box.spec.process[key];
  }
});

test("namespaces: one of the machine can be joined beside a new user namespace", async () => {
  await using box = new Box();
  const { linux } = box.spec;
  const maps = [{ containerID: 0, hostID: 100_000, size: 1000 }];
  Object.assign(linux, { uidMappings: maps, gidMappings: maps });
  linux.namespaces = linux.namespaces.filter(({ type }: Spec) => type !== "uts");
  linux.namespaces.push({ type: "user" }, { type: "uts", path: "/proc/self/ns/uts" });
  delete box.spec.hostname;
  Deno.chmodSync(box.dir, 0o755);
  assert.equal(await box.output("readlink /proc/self/ns/uts"), Deno.readLinkSync("/proc/self/ns/uts"));
});
