/** Configurations and surroundings as clients and machines have them, at the edges of what the specification says. */
import assert from "node:assert/strict";
import { exists } from "../../src/base/files.ts";
import { Box, type Spec } from "./runtime.ts";
import { test, testEach } from "./suite.ts";
import { finish } from "../support/command.ts";
import { until } from "../support/wait.ts";

const isV2 = exists("/sys/fs/cgroup/cgroup.controllers");

async function output(box: Box, script: string): Promise<string> {
  const { code, stdout, stderr } = await box.sh(script).run();
  assert.equal(code, 0, stderr);
  return stdout.trim();
}

/** All lists of the specifications of this suite are one. */
function addCapability({ process: { capabilities } }: Spec, name: string): void {
  for (const set of ["bounding", "effective", "permitted"]) capabilities[set] = [...capabilities[set], name];
}

testEach([{ id: "a+b" }, { id: "_pod" }, { id: "-x" }, { id: ".x" }, { id: "+" }])(
  "runk 17: a container may be called $id",
  async ({ id: end }) => {
    await using box = new Box();
    // Names that begin with a sign stand behind "--".
    const id = `${end}${crypto.randomUUID().slice(0, 8)}`;
    box.sh("sleep 1000").save();
    await box.ok("run", "--detach", "--bundle", box.bundle, "--", id);
    assert.match((await box.ok("list", "--quiet")).stdout, new RegExp(`^${id.replace(/[+.]/g, "\\$&")}$`, "m"));
    assert.equal((await box.call(["exec", "--", id, "echo", "in"])).stdout, "in\n");
    await box.ok("delete", "--force", "--", id);
  },
);

testEach([{ id: "." }, { id: ".." }, { id: "a/b" }, { id: "a b" }])(
  "runk 17: no container is called $id",
  async ({ id }) => {
    await using box = new Box();
    box.sh("true").save();
    assert.notEqual((await box.call(["run", "--bundle", box.bundle, "--", id])).code, 0);
  },
);

testEach([{ field: "intelRdt" }, { field: "netDevices" }])(
  "runk 39: an empty $field asks for nothing",
  async ({ field }) => {
    await using box = new Box();
    box.spec.linux[field] = {};
    assert.equal(await output(box, "echo ran"), "ran");
  },
);

test("runk 03: a process that may make nodes makes /dev/net/tun and opens it", async () => {
  await using box = new Box();
  addCapability(box.spec, "CAP_NET_ADMIN");
  assert.equal(
    await output(box, "mkdir /dev/net && mknod /dev/net/tun c 10 200 && : <>/dev/net/tun && echo opened"),
    "opened",
  );
});

test(
  "runk 57: letters of a device's access that mean nothing are passed over",
  async () => {
    const access = "rwa";
    await using box = new Box();
    box.spec.linux.resources.devices.push({ allow: true, type: "c", major: 10, minor: 229, access });
    const script =
      "mknod /dev/other c 10 229; (: </dev/other) 2>/tmp/why && echo rw; grep -c 'not permitted' /tmp/why; true";
    const said = await output(box, script);
    assert.ok(said.includes("rw") || said === "0", said);
  },
);

testEach([{ command: "run" }, { command: "exec" }])(
  "runk 06: what $command starts may use all CPUs of its cgroup, whatever its caller may",
  async ({ command }) => {
    await using box = new Box();
    const id = box.id();
    const words = ["grep", "Cpus_allowed_list", "/proc/self/status"];
    box.sh("sleep 1000");
    if (command === "run") box.spec.process.args = words;
    box.save();
    if (command === "exec") await box.ok("run", "--detach", "--bundle", box.bundle, id);
    const args = command === "run" ? ["run", "--bundle", box.bundle, id] : ["exec", id, ...words];
    const { stdout } = await finish("taskset", { args: ["-c", "0", ...box.words(args)] });
    const all = /Cpus_allowed_list:\t(.*)/.exec(Deno.readTextFileSync("/proc/self/status"))![1]!;
    assert.equal(new TextDecoder().decode(stdout).trim().split("\t")[1], all);
  },
);

test("runk-more Y3: the option rnorelatime leaves a mount as the kernel makes it, relatime", async () => {
  await using box = new Box();
  box.spec.mounts.push({ destination: "/data", type: "tmpfs", source: "tmpfs", options: ["rnorelatime"] });
  assert.match(await output(box, "grep ' /data ' /proc/mounts"), /\brelatime\b/);
});

test("runk-more V1: a swappiness of -1 as an unsigned number is none", async () => {
  if (isV2) return;
  await using box = new Box();
  box.spec.linux.resources.memory = { swappiness: 18446744073709551615 };
  box.sh("echo ran");
  Deno.writeTextFileSync(
    `${box.bundle}/config.json`,
    JSON.stringify(box.spec).replace("18446744073709552000", "18446744073709551615"),
  );
  const { code, stderr } = await box.call(["run", "--bundle", box.bundle, box.id()]);
  assert.equal(code, 0, stderr);
});

test("runk 36: list says of a root that is named and not there that it is not", async () => {
  await using box = new Box();
  const { code, stderr } = await box.call(["list"]);
  assert.equal(code, 1);
  assert.match(stderr, /no such file or directory/i);
});

test("runk 44: ps shows a container's processes on a machine that has many", async () => {
  await using box = new Box();
  const id = box.id();
  box.sh("sleep 1000").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  // More than a pipe holds.
  const words = Array.from({ length: 400 }, () => "0123456789");
  const others = Array.from(
    { length: 40 },
    () => new Deno.Command("sh", { args: ["-c", "sleep 1000; :", ...words] }).spawn(),
  );
  try {
    assert.match((await box.ok("ps", id)).stdout, /sleep 1000/);
  } finally {
    for (const other of others) {
      await finish("pkill", { args: ["-P", String(other.pid)] });
      await other.status;
    }
  }
});

/** Calls that profiles of some years ago do not name. */
const RECENT_CALLS = [
  ...["clone3", "close_range", "faccessat2", "fsconfig", "fsmount", "fsopen", "fspick", "mount_setattr", "move_mount"],
  ...["open_tree", "openat2", "pidfd_getfd", "pidfd_open", "pidfd_send_signal"],
];

testEach([{ noNewPrivileges: false }, { noNewPrivileges: true }])(
  "runk 56: a filter older than newer system calls lets a program run, noNewPrivileges being $noNewPrivileges",
  async ({ noNewPrivileges }) => {
    await using box = new Box();
    box.spec.process.noNewPrivileges = noNewPrivileges;
    box.spec.process.args = ["echo", "ran"];
    box.spec.linux.seccomp = {
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [{ names: [...RECENT_CALLS], action: "SCMP_ACT_ERRNO", errnoRet: 1 }],
    };
    const { code, stdout, stderr } = await box.run();
    assert.deepEqual([code, stdout], [0, "ran\n"], stderr);
  },
);

testEach([{ soft: 64 }, { soft: 20 }, { soft: 8 }])(
  "runk 15: a limit of $soft open files, of the container and of its caller",
  async ({ soft }) => {
    await using box = new Box();
    box.spec.process.rlimits = [{ type: "RLIMIT_NOFILE", soft, hard: soft }];
    assert.equal(await output(box, "ulimit -n"), String(soft));
    const id = box.id();
    box.sh("sleep 1000").save();
    await box.ok("run", "--detach", "--bundle", box.bundle, id);
    // Go needs more itself.
    if (soft > 8) assert.equal((await box.ok("exec", id, "sh", "-c", "ulimit -n")).stdout.trim(), String(soft));
    await box.ok("delete", "--force", id);
    const map = [{ containerID: 0, hostID: 100000, size: 65536 }];
    box.spec.linux.namespaces.push({ type: "user" });
    Object.assign(box.spec.linux, { uidMappings: map, gidMappings: map });
    await finish("chmod", { args: ["-R", "a+rwX", box.dir] });
    assert.equal(await output(box, "ulimit -n"), String(soft));
  },
);

test("runk 15: a caller that may open 64 files only", async () => {
  await using box = new Box();
  const id = box.id();
  delete box.spec.process.rlimits;
  box.sh("sleep 1000").save();
  // Into files: a container that goes on keeps them open.
  const limited = async (...args: string[]) => {
    const script = `ulimit -n 64; exec "$@" >${box.dir}/out 2>&1`;
    const { code } = await finish("sh", { args: ["-c", script, "sh", ...box.words(args)] });
    return [code, Deno.readTextFileSync(`${box.dir}/out`)];
  };
  assert.deepEqual(await limited("run", "--detach", "--bundle", box.bundle, id), [0, ""]);
  assert.deepEqual(await limited("exec", id, "echo", "in"), [0, "in\n"]);
});

testEach([
  {
    what: "a capability that no kernel has",
    change: (spec: Spec) => addCapability(spec, "CAP_OF_TOMORROW"),
  },
  { what: "a poststop hook that fails", change: (spec: Spec) => spec.hooks = { poststop: [{ path: "/bin/false" }] } },
])("runk-more C3: a warning of $what is seen on stderr, or in the log that is named", async ({ change }) => {
  await using box = new Box();
  change(box.sh("true").spec);
  const { code, stderr } = await box.run();
  assert.equal(code, 0, stderr);
  assert.match(stderr, /level=(warning|error)/);
  const global = ["--log", `${box.dir}/log`];
  const { stderr: quiet } = await box.call(["run", "--bundle", box.bundle, box.id()], { global });
  assert.equal(quiet, "");
  assert.match(Deno.readTextFileSync(`${box.dir}/log`), /level=(warning|error)/);
});

test("runk dbg: --debug logs what is done, without it nothing is said of it", async () => {
  await using box = new Box();
  box.sh("true").save();
  const args = ["run", "--bundle", box.bundle, box.id()];
  assert.match((await box.call(args, { global: ["--debug"] })).stderr, /level=debug/);
  assert.equal((await box.call(args)).stderr, "");
});

testEach([{ command: "run" }, { command: "exec" }])(
  "runk 58: a working directory over a link that goes up is found for $command while files are renamed elsewhere",
  async ({ command }) => {
    await using box = new Box();
    Deno.mkdirSync(`${box.rootfs}/run/lock`, { recursive: true });
    Deno.mkdirSync(`${box.rootfs}/var`);
    Deno.symlinkSync("../run", `${box.rootfs}/var/run`);
    const id = box.id();
    box.sh("sleep 1000").save();
    if (command === "exec") await box.ok("run", "--detach", "--bundle", box.bundle, id);
    const storm = new Deno.Command(Deno.execPath(), {
      args: [
        "eval",
        `Deno.writeTextFileSync("a", ""); for (;;) { Deno.renameSync("a", "b"); Deno.renameSync("b", "a"); }`,
      ],
      cwd: box.dir,
    }).spawn();
    try {
      await until(() => exists(`${box.dir}/a`) || exists(`${box.dir}/b`));
      box.spec.process.cwd = "/var/run/lock";
      box.sh("pwd").save();
      for (let round = 0; round < 10; round++) {
        const { code, stdout, stderr } = command === "run"
          ? await box.call(["run", "--bundle", box.bundle, box.id()])
          : await box.call(["exec", "--cwd", "/var/run/lock", id, "pwd"]);
        assert.deepEqual([code, stdout.trim()], [0, "/run/lock"], stderr);
      }
    } finally {
      storm.kill("SIGKILL");
      await storm.status;
    }
  },
);

test("runk 34: a further process has the clocks of the container's time namespace", async () => {
  await using box = new Box();
  box.spec.linux.namespaces.push({ type: "time" });
  box.spec.linux.timeOffsets = { boottime: { secs: 7 * 86_400, nanosecs: 0 } };
  const id = box.id();
  box.sh("sleep 1000").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  const script = "readlink /proc/1/ns/time; readlink /proc/self/ns/time";
  const [first, own] = (await box.ok("exec", id, "sh", "-c", script)).stdout.trim().split("\n");
  assert.equal(own, first);
  const uptime = Number((await box.ok("exec", id, "cut", "-d.", "-f1", "/proc/uptime")).stdout);
  assert.ok(uptime > 7 * 86_400, `${uptime} s`);
});

test("runk 49: a further process has the personality of the container", async () => {
  await using box = new Box();
  box.spec.linux.personality = { domain: "LINUX32" };
  const id = box.id();
  box.sh("sleep 1000").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  const machine = (await box.ok("exec", id, "uname", "-m")).stdout.trim();
  assert.match(machine, /^(i686|armv8l)$/);
});
