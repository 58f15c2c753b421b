/** Promises of the specification's `process` to the program that runs. */
import assert from "node:assert/strict";
import { Box, host } from "./runtime.ts";
import { test, testEach } from "./suite.ts";
import { until } from "../support/wait.ts";

test("process: args, env and cwd arrive as written", async () => {
  await using box = new Box();
  box.spec.process.env = ["PATH=/bin", "GREETING=hello  world"];
  box.spec.process.cwd = "/tmp";
  assert.equal(await box.output('pwd; echo "$GREETING"'), "/tmp\nhello  world");
});

test("process: a cwd that the image lacks is made", async () => {
  await using box = new Box();
  box.spec.process.cwd = "/srv/new/dir";
  assert.equal(await box.output("pwd"), "/srv/new/dir");
});

test("process: the program is found by the container's own PATH", async () => {
  await using box = new Box();
  box.spec.process.args = ["echo", "found"];
  const { code, stdout } = await box.run();
  assert.deepEqual([code, stdout], [0, "found\n"]);
});

testEach([
  { what: "the file", destination: "/etc/passwd", source: "passwd" },
  { what: "its directory", destination: "/etc", source: "" },
])("process: HOME comes from a passwd of which $what is mounted", async ({ destination, source }) => {
  await using box = new Box();
  Deno.mkdirSync(`${box.dir}/etc`);
  Deno.writeTextFileSync(`${box.dir}/etc/passwd`, "other:x:1000:1000::/home/other:/bin/sh\n");
  box.spec.mounts.push({ destination, source: `${box.dir}/etc/${source}`, type: "bind", options: ["bind"] });
  box.spec.process.user = { uid: 1000, gid: 1000 };
  assert.equal(await box.output("echo $HOME"), "/home/other");
});

test("process: a passwd that is a link to itself is as none", async () => {
  await using box = new Box();
  Deno.removeSync(`${box.rootfs}/etc/passwd`);
  Deno.symlinkSync("passwd", `${box.rootfs}/etc/passwd`);
  box.spec.mounts.push({ destination: "/data", source: box.dir, type: "bind", options: ["bind"] });
  assert.equal(await box.output("echo $HOME"), "/");
});

test("process: HOME comes from the image's passwd when it is not set", async () => {
  await using box = new Box();
  box.spec.process.user = { uid: 1000, gid: 1000 };
  assert.equal(await box.output("echo $HOME"), "/home/user");
});

test("process: HOME comes from a passwd that is bound over the image's", async () => {
  await using box = new Box();
  box.spec.process.user = { uid: 1000, gid: 1000 };
  Deno.writeTextFileSync(`${box.dir}/passwd`, "other:x:1000:1000::/home/other:/bin/sh\n");
  box.spec.mounts.push({
    destination: "/etc/passwd",
    type: "bind",
    source: `${box.dir}/passwd`,
    options: ["rbind", "ro"],
  });
  assert.equal(await box.output("echo $HOME"), "/home/other");
});

test("process: a variable that is given twice has the later value", async () => {
  await using box = new Box();
  box.spec.process.env = ["PATH=/bin", "WORD=first", "WORD=second"];
  assert.equal(await box.output("tr '\\0' '\\n' < /proc/$$/environ | grep WORD"), "WORD=second");
});

testEach([{ what: "a directory", program: "/etc" }, { what: "nothing", program: "" }])(
  "create: $what is no program",
  async ({ program }) => {
    await using box = new Box();
    const id = box.id();
    box.spec.process.args = [program];
    box.save();
    assert.equal((await box.call(["create", "--bundle", box.bundle, id])).code, 1);
    assert.notEqual((await box.call(["state", id])).code, 0);
  },
);

test("process: a capability that no kernel has is passed over", async () => {
  await using box = new Box();
  box.spec.process.capabilities = { bounding: ["CAP_KILL", "CAP_OF_TOMORROW"] };
  assert.equal(await box.output("grep CapBnd /proc/self/status"), `CapBnd:\t${"20".padStart(16, "0")}`);
});

test("process: user, group, additional groups and umask", async () => {
  await using box = new Box();
  box.spec.process.user = { uid: 1000, gid: 1000, additionalGids: [2000, 3000], umask: 0o27 };
  assert.equal(await box.output("id -u; id -g; id -G; umask"), "1000\n1000\n1000 2000 3000\n0027");
});

test("process: capabilities are exactly those of the spec", async () => {
  await using box = new Box();
  const caps = ["CAP_KILL", "CAP_NET_BIND_SERVICE"];
  box.spec.process.capabilities = { bounding: caps, effective: caps, permitted: caps };
  const status = await box.output("grep ^Cap /proc/self/status | tr '\\t' ' '");
  // CAP_KILL is 5, CAP_NET_BIND_SERVICE 10.
  const mask = ((1 << 5) | (1 << 10)).toString(16).padStart(16, "0");
  const none = "0".repeat(16);
  const lines = [`CapInh: ${none}`, `CapPrm: ${mask}`, `CapEff: ${mask}`, `CapBnd: ${mask}`, `CapAmb: ${none}`];
  assert.equal(status, lines.join("\n"));
});

test("process: ambient capabilities survive a change of user", async () => {
  await using box = new Box();
  const caps = ["CAP_NET_BIND_SERVICE"];
  box.spec.process.user = { uid: 1000, gid: 1000 };
  box.spec.process.capabilities = {
    bounding: caps,
    effective: caps,
    permitted: caps,
    inheritable: caps,
    ambient: caps,
  };
  assert.match(await box.output("grep CapEff /proc/self/status"), /0000000000000400/);
});

test("process: without ambient ones an unprivileged user has no effective capability", async () => {
  await using box = new Box();
  box.spec.process.user = { uid: 1000, gid: 1000 };
  assert.match(await box.output("grep CapEff /proc/self/status"), /0000000000000000/);
});

test("process: no_new_privs is set when asked for and only then", async () => {
  await using box = new Box();
  assert.match(await box.output("grep NoNewPrivs /proc/self/status"), /1$/);
  box.spec.process.noNewPrivileges = false;
  assert.match(await box.output("grep NoNewPrivs /proc/self/status"), /0$/);
});

test("process: rlimits, soft and hard", async () => {
  await using box = new Box();
  box.spec.process.rlimits = [
    { type: "RLIMIT_NOFILE", soft: 123, hard: 456 },
    { type: "RLIMIT_CORE", soft: 0, hard: 0 },
  ];
  const limits = await box.output("grep -E 'open files|core file' /proc/self/limits");
  assert.match(limits, /Max open files +123 +456/);
  assert.match(limits, /Max core file size +0 +0/);
});

test("process: oom_score_adj is raised", async () => {
  await using box = new Box();
  box.spec.process.oomScoreAdj = 500;
  assert.equal(await box.output("cat /proc/self/oom_score_adj"), "500");
});

test("exec: oom_score_adj is set before the program runs", async () => {
  await using box = new Box();
  const id = box.id();
  box.spec.process.oomScoreAdj = 400;
  box.sh("sleep 100").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  // The program itself looks, at once: set any later, it would now and then see the runtime's own.
  for (let turn = 0; turn < 10; turn++) {
    assert.equal((await box.ok("exec", id, "/bin/cat", "/proc/self/oom_score_adj")).stdout, "400\n");
  }
});

test("process: init is pid 1, in a session of its own, with no signal blocked", async () => {
  await using box = new Box();
  assert.equal(await box.output("echo $$; cut -d' ' -f6 /proc/1/stat"), "1\n1");
  box.spec.process.args = ["/bin/grep", "SigBlk", "/proc/self/status"];
  assert.match((await box.run()).stdout, /0{16}/);
});

test("process: no file descriptor but stdio reaches the program", async () => {
  await using box = new Box();
  // The shell's glob opens /proc/self/fd itself: list with ls, whose own descriptor is 3.
  assert.equal(await box.output("ls /proc/self/fd | tr '\\n' ' '"), "0 1 2 3");
});

test("process: stdin, stdout and stderr are the runtime's own", async () => {
  await using box = new Box();
  const { code, stdout, stderr } = await box.sh("cat; echo complaint >&2; exit 4").run(undefined, {
    stdin: "some input",
  });
  assert.deepEqual([code, stdout, stderr.trim()], [4, "some input", "complaint"]);
});

test("process: its user owns the files of its output, and gets the container's /dev/null for the caller's", async () => {
  await using box = new Box();
  const id = box.id();
  box.spec.process.user = { uid: 1000, gid: 1000 };
  box.sh("stat -L -c %u /proc/self/fd/1; test /proc/self/fd/0 -ef /dev/null && echo own").save();
  const before = Deno.statSync("/dev/null");
  const out = `${box.dir}/output`;
  try {
    const args = ["-c", 'exec "$@" </dev/null >"$0"', out, ...box.words(["run", "-d", "--bundle", box.bundle, id])];
    await host("/bin/sh", ...args);
    await box.until(id, "stopped");
    assert.equal(Deno.readTextFileSync(out), "1000\nown\n");
    assert.equal(Deno.statSync("/dev/null").uid, before.uid);
  } finally {
    Deno.chownSync("/dev/null", before.uid, before.gid);
  }
});

test("exec: runs in the container with its own args, env, cwd, user and exit status", async () => {
  await using box = new Box();
  const id = box.id();
  box.sh("sleep 100").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  const script = "echo $A; pwd; id -u; hostname; exit 9";
  const result = await box.call([
    "exec",
    "--env",
    "A=b",
    "--cwd",
    "/tmp",
    "--user",
    "1000:1000",
    id,
    "/bin/sh",
    "-c",
    script,
  ]);
  assert.deepEqual([result.code, result.stdout], [9, "b\n/tmp\n1000\nbox\n"]);
});

test("exec: shares every namespace with init", async () => {
  await using box = new Box();
  const id = box.id();
  box.sh("sleep 100").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  const script =
    "for n in pid mnt uts ipc net; do [ $(readlink /proc/1/ns/$n) = $(readlink /proc/self/ns/$n) ] || echo $n; done";
  assert.equal((await box.ok("exec", id, "/bin/sh", "-c", script)).stdout, "");
});

test("exec: a program that does not exist is named, and the container lives on", async () => {
  await using box = new Box();
  const id = box.id();
  box.sh("sleep 100").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  const { code, stderr } = await box.call(["exec", id, "no-such-program"]);
  assert.notEqual(code, 0);
  assert.match(stderr, /no-such-program/);
  assert.equal((await box.state(id)).status, "running");
});

test("exec: --process takes the whole process from a file", async () => {
  await using box = new Box();
  const id = box.id();
  box.sh("sleep 100").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  const process = { ...box.spec.process, args: ["/bin/sh", "-c", "echo $X; id -u"], env: ["PATH=/bin", "X=y"] };
  Deno.writeTextFileSync(`${box.dir}/process.json`, JSON.stringify({ ...process, user: { uid: 1000, gid: 1000 } }));
  assert.equal((await box.ok("exec", "--process", `${box.dir}/process.json`, id)).stdout, "y\n1000\n");
});

test("exec: --process without a user is root's", async () => {
  await using box = new Box();
  const id = box.id();
  box.sh("sleep 100").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  Deno.writeTextFileSync(`${box.dir}/process.json`, JSON.stringify({ args: ["/bin/id", "-u"], cwd: "/", env: null }));
  assert.equal((await box.ok("exec", "--process", `${box.dir}/process.json`, id)).stdout, "0\n");
});

test("exec: --env changes a variable of the container's", async () => {
  await using box = new Box();
  const id = box.id();
  box.sh("sleep 100").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  const script = "tr '\\0' '\\n' < /proc/$$/environ | grep TERM";
  assert.equal((await box.ok("exec", "--env", "TERM=dumb", id, "/bin/sh", "-c", script)).stdout, "TERM=dumb\n");
});

test("exec --detach: returns at once and writes the pid file", async () => {
  await using box = new Box();
  const id = box.id();
  box.sh("sleep 100").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  await box.ok("exec", "--detach", "--pid-file", `${box.dir}/pid`, id, "/bin/sleep", "77");
  const pid = Deno.readTextFileSync(`${box.dir}/pid`);
  // runc returns before its process has become the program.
  await until(() => Deno.readTextFileSync(`/proc/${pid}/cmdline`).includes("sleep\x0077"));
});

test("exec: a stopped container is refused", async () => {
  await using box = new Box();
  const id = box.id();
  box.save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  await box.until(id, "stopped");
  const { code, stderr } = await box.call(["exec", id, "/bin/true"]);
  assert.notEqual(code, 0);
  assert.match(stderr, /stopped/);
});

test("exec: a background process joins the container's cgroup and dies with it", async () => {
  await using box = new Box();
  const id = box.id();
  box.sh("sleep 100").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  await box.ok("exec", "--detach", "--pid-file", `${box.dir}/pid`, id, "/bin/sleep", "78");
  const pid = Deno.readTextFileSync(`${box.dir}/pid`);
  assert.match(Deno.readTextFileSync(`/proc/${pid}/cgroup`), new RegExp(box.spec.linux.cgroupsPath));
  await box.ok("delete", "--force", id);
  const left = await new Deno.Command("ps", { args: ["-o", "stat=", "-p", pid] }).output();
  assert.match(new TextDecoder().decode(left.stdout), /^(Z.*)?\s*$/);
});

test("exec: enters no container that is being made, whose root is the machine's still", async () => {
  await using box = new Box();
  const secret = `${box.dir}/secret`;
  Deno.writeTextFileSync(secret, "of the machine");
  const id = box.id();
  const exec = box.words(["exec", id, "/bin/cat", secret]);
  const args = ["sh", "-c", `cat >/dev/null; "$@" >${box.dir}/seen 2>&1; echo $? >>${box.dir}/seen`, "sh", ...exec];
  box.spec.hooks = { createRuntime: [{ path: "/bin/sh", args, env: [`PATH=${Deno.env.get("PATH")}`] }] };
  box.sh("sleep 100").save();
  await box.ok("create", "--bundle", box.bundle, id);
  assert.match(Deno.readTextFileSync(`${box.dir}/seen`), /(it is creating|does not exist)[^]*\n255\n$/);
  await box.ok("exec", id, "/bin/true");
  await box.ok("start", id);
});
