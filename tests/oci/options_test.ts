/** Options of the command line, one by one, as go-runc, Docker, Podman and CRI-O pass them. */
import assert from "node:assert/strict";
import { exists } from "../../src/base/files.ts";
import type { Fd } from "../../src/linux/io/fd.ts";
import { acceptUnix, listenUnix, receiveFds } from "../../src/linux/net/socket.ts";
import { readable } from "../../src/linux/io/poll.ts";
import { Box, type Result, RUNTIME } from "./runtime.ts";
import { test, testEach } from "./suite.ts";
import { finish, finished } from "../support/command.ts";
import { until } from "../support/wait.ts";

const isV2 = exists("/sys/fs/cgroup/cgroup.controllers");

async function started(box: Box): Promise<string> {
  const id = box.id();
  box.sh("sleep 100").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  return id;
}

async function exec(box: Box, id: string, options: readonly string[], script: string): Promise<Result> {
  return await box.ok("exec", ...options, id, "/bin/sh", "-c", script);
}

test("run --keep: the container stays, stopped, until it is deleted", async () => {
  await using box = new Box();
  const id = box.id();
  box.sh("exit 3").save();
  const { code } = await box.call(["run", "--keep", "--bundle", box.bundle, id]);
  assert.equal(code, 3);
  assert.equal((await box.state(id)).status, "stopped");
  await box.ok("delete", id);
});

test("run: without --keep nothing of the container is left", async () => {
  await using box = new Box();
  const id = box.id();
  await box.sh("true").run(id);
  assert.equal((await box.call(["state", id])).code, 1);
});

test("run --no-pivot: the root is the container's all the same", async () => {
  await using box = new Box();
  box.sh("ls /; ls /../..").save();
  const { code, stdout, stderr } = await box.call(["run", "--no-pivot", "--bundle", box.bundle, box.id()]);
  assert.equal(code, 0, stderr);
  assert.equal(stdout, "bin\ndev\netc\nproc\nsys\ntmp\n".repeat(2));
});

testEach([
  { how: "moved", flags: ["--no-pivot"], propagation: "rprivate" },
  { how: "moved and shared", flags: ["--no-pivot"], propagation: "rshared" },
  { how: "pivoted", flags: [], propagation: "rprivate" },
])("runk 50: nobody in the container gets a proc or sysfs without masks, its root being $how", async (row) => {
  await using box = new Box();
  const { flags, propagation } = row;
  box.spec.linux.rootfsPropagation = propagation;
  // Which mapping root takes.
  for (const set of ["bounding", "effective", "permitted"]) box.spec.process.capabilities[set].push("CAP_SETFCAP");
  const attempts = ["proc", "sysfs"].map((type) => `mount -t ${type} none /tmp && echo ${type}`);
  box.sh(`unshare -mrpf sh -c 'echo inside; ${attempts.join("; ")}'; true`).save();
  // Most machines have all mounts shared.
  const table = (name: string) => `cat /proc/self/mountinfo >${box.dir}/${name}`;
  const script = `mount --make-rshared / && ${table("before")} && "$@" && ${table("after")}`;
  const words = box.words(["run", ...flags, "--bundle", box.bundle, box.id()]);
  const { code, stdout } = await finish("unshare", { args: ["--mount", "sh", "-c", script, "sh", ...words] });
  assert.deepEqual([code, new TextDecoder().decode(stdout)], [0, "inside\n"]);
  assert.equal(Deno.readTextFileSync(`${box.dir}/after`), Deno.readTextFileSync(`${box.dir}/before`));
});

testEach([
  { command: "run" },
  { command: "create" },
  { command: "exec" },
])("runk 54: $command refuses to hand over descriptors that its caller has not opened", async ({ command }) => {
  await using box = new Box();
  const id = command === "exec" ? await started(box) : box.id();
  const flags = ["--preserve-fds", "8"];
  box.sh("ls -l /proc/self/fd").save();
  const args = command === "exec"
    ? [...flags, id, "/bin/ls", "-l", "/proc/self/fd"]
    : [...flags, "--bundle", box.bundle, id];
  const { code, stdout } = await box.call([command, ...args]);
  assert.notEqual(code, 0);
  assert.equal(stdout, "");
  if (command !== "exec") assert.equal((await box.call(["state", id])).code, 1);
});

test("LISTEN_FDS: more sockets than there are is an error that says so", async () => {
  await using box = new Box();
  const id = box.id();
  box.sh("ls -l /proc/self/fd").save();
  const words = box.words(["run", "--bundle", box.bundle, id]);
  const script = `export LISTEN_FDS=5 LISTEN_PID=$$; exec "$@" 3</dev/null`;
  const { code, stdout } = await finish("/bin/sh", { args: ["-c", script, "sh", ...words] });
  assert.notEqual(code, 0);
  assert.equal(new TextDecoder().decode(stdout), "");
});

test("keyring: a container has a session keyring, which exec shares, and --no-new-keyring keeps the caller's", async () => {
  await using box = new Box();
  box.spec.linux.maskedPaths = [];
  const id = box.id();
  box.sh("cat /proc/keys > /tmp/keys; sleep 100").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  const serial = (text: string, name = id) => new RegExp(`^(\\w+) .* _ses\\.${name}\\b`, "m").exec(text)?.[1];
  await until(() => exists(`${box.rootfs}/tmp/keys`));
  const { stdout } = await exec(box, id, [], "cat /proc/keys");
  assert.ok(serial(stdout) !== undefined, stdout);
  await until(() => serial(Deno.readTextFileSync(`${box.rootfs}/tmp/keys`)) !== undefined);
  assert.equal(serial(stdout), serial(Deno.readTextFileSync(`${box.rootfs}/tmp/keys`)));

  const other = box.id();
  box.spec.linux.cgroupsPath += "-other";
  box.sh("cat /proc/keys").save();
  const kept = await box.ok("run", "--no-new-keyring", "--bundle", box.bundle, other);
  assert.equal(serial(kept.stdout, other), undefined);
});

test("LISTEN_FDS: sockets of an activation reach the container from 3 on, before those of --preserve-fds", async () => {
  await using box = new Box();
  box.sh("cat <&3; cat <&4; echo $LISTEN_FDS $LISTEN_PID").save();
  for (const name of ["first", "second"]) Deno.writeTextFileSync(`${box.dir}/${name}`, `${name}\n`);
  const script = `export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@" 3<${box.dir}/first 4<${box.dir}/second`;
  const words = box.words(["run", "--preserve-fds", "1", "--bundle", box.bundle, box.id()]);
  const { stdout } = await finish("/bin/sh", { args: ["-c", script, "sh", ...words] });
  assert.equal(new TextDecoder().decode(stdout), "first\nsecond\n1 1\n");
});

test("exec --preserve-fds: hands over extra descriptors", async () => {
  await using box = new Box();
  const id = await started(box);
  Deno.writeTextFileSync(`${box.dir}/extra`, "through fd 3");
  const words = box.words(["exec", "--preserve-fds", "1", id, "/bin/sh", "-c", "cat <&3"]);
  const { stdout } = await finish("/bin/sh", { args: ["-c", `exec "$@" 3<${box.dir}/extra`, "sh", ...words] });
  assert.equal(new TextDecoder().decode(stdout), "through fd 3");
});

testEach([
  { command: "run" },
  { command: "create" },
  { command: "exec" },
])("1.1+: --pidfd-socket of $command gets a descriptor of the process", async ({ command }) => {
  await using box = new Box();
  using listener = listenUnix(`${box.dir}/pidfd`);
  const received = receivePidfd(listener);
  const id = box.id();
  box.sh("sleep 100").save();
  const socket = ["--pidfd-socket", `${box.dir}/pidfd`];
  if (command === "exec") {
    await box.ok("run", "--detach", "--bundle", box.bundle, id);
    await box.ok("exec", "--detach", ...socket, "--pid-file", `${box.dir}/pid`, id, "/bin/sleep", "100");
  } else {
    const detach = command === "run" ? ["--detach"] : [];
    await box.ok(command, ...detach, ...socket, "--pid-file", `${box.dir}/pid`, "--bundle", box.bundle, id);
  }
  using pidfd = await received;
  const info = Deno.readTextFileSync(`/proc/self/fdinfo/${pidfd.number}`);
  assert.match(info, new RegExp(`^Pid:\\s${Deno.readTextFileSync(`${box.dir}/pid`)}$`, "m"));
});

async function receivePidfd(listener: Fd): Promise<Fd> {
  using connection = await acceptUnix(listener);
  await readable(connection);
  const { fds } = receiveFds(connection, new Uint8Array(16));
  assert.equal(fds.length, 1);
  return fds[0]!;
}

test("exec --cgroup: runs in an existing group below the container's", async () => {
  await using box = new Box();
  const id = await started(box);
  const controller = isV2 ? "" : "pids:";
  const group = `/sys/fs/cgroup/${isV2 ? "" : "pids"}${box.spec.linux.cgroupsPath}/worker`;
  Deno.mkdirSync(group);
  const { stdout } = await exec(box, id, ["--cgroup", `${controller}worker`], "cat /proc/self/cgroup");
  assert.match(stdout, new RegExp(`${isV2 ? "0:" : ":pids"}:.*${box.spec.linux.cgroupsPath}/worker\n`));
  assert.notEqual((await box.call(["exec", "--cgroup", `${controller}nobody`, id, "/bin/true"])).code, 0);
  assert.notEqual((await box.call(["exec", "--cgroup", "nosuch:worker", id, "/bin/true"])).code, 0);
});

test("exec --ignore-paused: waits until the container is resumed", async () => {
  await using box = new Box();
  const id = await started(box);
  await box.ok("pause", id);
  const [command = "", ...args] = box.words(["exec", "--ignore-paused", id, "/bin/echo", "resumed"]);
  const child = new Deno.Command(command, { args, stdout: "piped" }).spawn();
  await box.ok("resume", id);
  const { code, stdout } = await finished(child, ["exec"]);
  assert.deepEqual([code, new TextDecoder().decode(stdout)], [0, "resumed\n"]);
});

test("exec: --cap, --no-new-privs, --additional-gids and --tty=false change the container's own process", async () => {
  await using box = new Box();
  box.spec.process.noNewPrivileges = false;
  box.spec.process.capabilities = {};
  const id = await started(box);
  const options = [
    "--cap",
    "CAP_KILL",
    "--additional-gids",
    "7",
    "--additional-gids",
    "8",
    "--no-new-privs",
    "--tty=false",
  ];
  const { stdout } = await exec(box, id, options, "id -G; grep -E 'CapEff|NoNewPrivs' /proc/self/status");
  assert.equal(stdout, "0 7 8\nCapEff:\t0000000000000020\nNoNewPrivs:\t1\n");
});

test("exec --cap: makes no capability inheritable that the container's process has not as that", async () => {
  await using box = new Box();
  box.spec.process.capabilities = { bounding: ["CAP_CHOWN"], permitted: ["CAP_CHOWN"], inheritable: ["CAP_CHOWN"] };
  const id = await started(box);
  const options = ["--user", "1000", "--cap", "CAP_KILL", "--cap", "CAP_CHOWN"];
  const { stdout } = await exec(box, id, options, "grep -E 'Cap(Inh|Eff|Bnd|Amb)' /proc/self/status");
  const sets = ["CapInh:\t1", "CapEff:\t1", "CapBnd:\t21", "CapAmb:\t1"];
  assert.deepEqual(stdout.trim().split("\n").map((line) => line.replace(/\t0+/, "\t")), sets);
});

test("exec --process: without capabilities of its own the process has the container's", async () => {
  await using box = new Box();
  const id = await started(box);
  const file = `${box.dir}/process.json`;
  const args = [
    "/bin/sh",
    "-c",
    "grep -E 'Cap(Eff|Bnd)' /proc/self/status /proc/1/status | cut -d: -f3 | sort -u | wc -l",
  ];
  Deno.writeTextFileSync(file, JSON.stringify({ args, cwd: "/", env: ["PATH=/bin"], user: { uid: 0, gid: 0 } }));
  assert.equal((await box.ok("exec", "--process", file, id)).stdout, "1\n");
});

test("exec: an error of the runtime itself ends with 255, one of its words with 1", async () => {
  await using box = new Box();
  const id = await started(box);
  assert.equal((await box.call(["exec", id, "no-such-program"])).code, 255);
  assert.equal((await box.call(["exec"])).code, 1);
  assert.equal((await box.call(["exec", "--no-such-flag", id, "true"])).code, 1);
});

test("kill: SIGTERM without a signal", async () => {
  await using box = new Box();
  const id = box.id();
  box.sh("trap 'echo term > /tmp/got; exit' TERM; : > /tmp/up; while :; do sleep 0.05; done").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  await until(() => exists(`${box.rootfs}/tmp/up`));
  await box.ok("kill", id);
  await box.until(id, "stopped");
  assert.equal(Deno.readTextFileSync(`${box.rootfs}/tmp/got`), "term\n");
});

test("ps: takes options of ps, and knows table and json only", async () => {
  await using box = new Box();
  const id = await started(box);
  const { pid } = await box.state(id);
  const { stdout } = await box.ok("ps", id, "-o", "pid,comm");
  assert.match(stdout, new RegExp(`^ *PID COMMAND\n *${pid} `));
  assert.equal((await box.call(["ps", "--format", "yaml", id])).code, 1);
  assert.equal((await box.call(["list", "--format", "yaml"])).code, 1);
});

test("events: one JSON object a line, again and again, until the container is gone", async () => {
  await using box = new Box();
  const id = await started(box);
  const [command = "", ...args] = box.words(["events", "--interval", "100ms", id]);
  const child = new Deno.Command(command, { args, stdout: "piped", stderr: "null" }).spawn();
  const seen: { type: string; id: string }[] = [];
  let isDeleted = false;
  let rest = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = `${rest}${chunk}`.split("\n");
    rest = lines.pop() ?? "";
    seen.push(...lines.map((line) => JSON.parse(line)));
    if (seen.length < 3 || isDeleted) continue;
    isDeleted = true;
    await box.ok("delete", "--force", id);
  }
  await child.status;
  assert.ok(seen.every((event) => event.type === "stats" && event.id === id));
});

test("events: there are none of a stopped container", async () => {
  await using box = new Box();
  const id = box.id();
  box.save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  await box.until(id, "stopped");
  assert.equal((await box.call(["events", "--stats", id])).code, 1);
});

test("update: every limit that a flag names is set", async () => {
  await using box = new Box();
  const id = await started(box);
  await box.ok("update", "--memory", "80M", "--memory-reservation", "40M", "--cpu-share", "256", id);
  await box.ok(
    "update",
    "--cpu-period",
    "50000",
    "--cpu-quota",
    "10000",
    "--cpuset-cpus",
    "0",
    "--cpuset-mems",
    "0",
    id,
  );
  const path = box.spec.linux.cgroupsPath;
  const read = (v1: string, v2: string) =>
    Deno.readTextFileSync(`/sys/fs/cgroup${isV2 ? `${path}/${v2}` : v1.replace("PATH", path)}`).trim();
  assert.equal(read("/memoryPATH/memory.limit_in_bytes", "memory.max"), `${80 << 20}`);
  assert.equal(read("/memoryPATH/memory.soft_limit_in_bytes", "memory.low"), `${40 << 20}`);
  assert.equal(read("/cpuPATH/cpu.shares", "cpu.weight"), isV2 ? "10" : "256");
  assert.equal(read("/cpuPATH/cpu.cfs_quota_us", "cpu.max"), isV2 ? "10000 50000" : "10000");
  assert.equal(read("/cpusetPATH/cpuset.cpus", "cpuset.cpus"), "0");
  assert.equal(read("/cpusetPATH/cpuset.mems", "cpuset.mems"), "0");
});

test("update --resources: reads a file, and leaves what it does not name", async () => {
  await using box = new Box();
  box.spec.linux.resources.memory = { limit: 64 << 20 };
  const id = await started(box);
  Deno.writeTextFileSync(`${box.dir}/resources`, JSON.stringify({ pids: { limit: 31 } }));
  await box.ok("update", "--resources", `${box.dir}/resources`, id);
  const path = box.spec.linux.cgroupsPath;
  const [pids, memory] = isV2
    ? [`${path}/pids.max`, `${path}/memory.max`]
    : [`/pids${path}/pids.max`, `/memory${path}/memory.limit_in_bytes`];
  assert.equal(Deno.readTextFileSync(`/sys/fs/cgroup${pids}`), "31\n");
  assert.equal(Deno.readTextFileSync(`/sys/fs/cgroup${memory}`), `${64 << 20}\n`);
});

testEach([
  { what: "network devices", change: { netDevices: { eth0: {} } }, why: /netDevices/ },
])("1.1+: $what of a later specification are refused by name", async ({ change, why }) => {
  await using box = new Box();
  Object.assign(box.spec.linux, change);
  const { code, stderr } = await box.run();
  assert.equal(code, 1);
  assert.match(stderr, why);
});

test("features: a document that names what there is", async () => {
  await using box = new Box();
  const { stdout } = await box.ok("features");
  const { ociVersionMin, ociVersionMax, hooks, mountOptions, linux } = JSON.parse(stdout);
  assert.match(`${ociVersionMin} ${ociVersionMax}`, /^1\.\d+\.\d+ 1\.\d+\.\d+/);
  assert.ok(hooks.includes("createContainer") && mountOptions.includes("rro"));
  assert.ok(linux.namespaces.includes("user") && linux.capabilities.includes("CAP_SYS_ADMIN"));
  assert.deepEqual([linux.cgroup.v1, linux.cgroup.v2, linux.cgroup.systemd], [true, true, true]);
  assert.ok(linux.seccomp.enabled && linux.seccomp.actions.includes("SCMP_ACT_NOTIFY"));
});

test("help: each command names itself and its options", async () => {
  await using box = new Box();
  for (const command of ["create", "exec", "update"]) {
    for (const words of [[command, "--help"], ["help", command]]) {
      assert.match((await box.ok(...words)).stdout, new RegExp(`${RUNTIME.split("/").at(-1)} ${command}`));
    }
  }
});

test("mounts: rro and rnosuid change the whole tree below a mount", async () => {
  await using box = new Box();
  const tree = `${box.dir}/tree`;
  Deno.mkdirSync(`${tree}/below`, { recursive: true });
  await finish("mount", { args: ["-t", "tmpfs", "tmpfs", `${tree}/below`] });
  try {
    const options = ["rbind", "rro", "rnosuid"];
    box.spec.mounts.push({ destination: "/tree", source: tree, type: "bind", options });
    const script =
      "(: > /tree/x) 2>/dev/null || echo ro; (: > /tree/below/x) 2>/dev/null || echo ro; grep tree/below /proc/mounts";
    const { stdout, stderr } = await box.sh(script).run();
    assert.match(stdout, /^ro\nro\ntmpfs \S+ tmpfs ro,nosuid/, stderr);
  } finally {
    await finish("umount", { args: [`${tree}/below`] });
  }
});
