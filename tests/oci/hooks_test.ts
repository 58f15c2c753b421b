/** Things that hooks may count on besides their moment: the runtime, their words, their environment, what follows a failure. */
import assert from "node:assert/strict";
import { exists } from "../../src/base/files.ts";
import { Box } from "./runtime.ts";
import { test, testEach } from "./suite.ts";
import { until } from "../support/wait.ts";

const PATH = `PATH=${Deno.env.get("PATH")}`;

/** A hook that runs a script of the machine's shell, its state read. */
function hook(script: string): Record<string, unknown> {
  return { path: "/bin/sh", args: ["sh", "-c", `cat >/dev/null; ${script}`], env: [PATH] };
}

test("runk 10: a poststart hook may have the runtime look at the container, change and pause it", async () => {
  await using box = new Box();
  const id = box.id();
  const runtime = box.words([]).join(" ");
  const calls = [
    `state ${id}`,
    `update --cpu-share 512 ${id}`,
    `exec ${id} true`,
    `pause ${id}`,
    `resume ${id}`,
    `kill ${id} CONT`,
  ];
  const log = `${box.dir}/codes`;
  const script = calls.map((call) =>
    `${runtime} ${call} >${box.dir}/said 2>&1; echo $? $(cat ${box.dir}/said) >>${log}`
  );
  box.spec.hooks = { poststart: [hook(script.join("; "))] };
  box.sh("sleep 1000").save();
  await box.ok("create", "--bundle", box.bundle, id);
  await box.ok("start", id);
  // `state` prints several lines.
  const codes = Deno.readTextFileSync(log).split("\n").filter((line) => /^\d/.test(line));
  assert.deepEqual(codes.map((line) => line.slice(0, 2).trim()), calls.map(() => "0"), codes.join("\n"));
  assert.equal((await box.state(id)).status, "running");
});

testEach([{ command: "start" }, { command: "run" }])(
  "runk 13: a poststart hook that fails makes $command fail and stops the container",
  async ({ command }) => {
    await using box = new Box();
    const id = box.id();
    const failing = hook("echo broken >&2; exit 3");
    box.spec.hooks = { poststart: [failing, hook(`: >${box.dir}/second`)], poststop: [hook(`: >${box.dir}/stopped`)] };
    box.sh("sleep 1000").save();
    if (command === "start") await box.ok("create", "--bundle", box.bundle, id);
    const args = command === "start" ? ["start", id] : ["run", "--bundle", box.bundle, id];
    const { code, stderr } = await box.call(args);
    assert.equal(code, 1);
    assert.match(stderr, /hook/);
    assert.ok(!exists(`${box.dir}/second`));
    if (command === "start") {
      await box.until(id, "stopped");
      await box.ok("delete", id);
    } else assert.notEqual((await box.call(["state", id])).code, 0);
    assert.ok(exists(`${box.dir}/stopped`));
  },
);

testEach([{ kind: "prestart" }, { kind: "createRuntime" }, { kind: "createContainer" }, { kind: "poststart" }, {
  kind: "poststop",
}])(
  "runk 14: a $kind hook with an empty list of words has its path for a name",
  async ({ kind }) => {
    await using box = new Box();
    Deno.writeTextFileSync(`${box.dir}/hook`, `#!/bin/sh\necho "$0 $#" >${box.dir}/said\n`, { mode: 0o755 });
    // Of a program of many names, which goes by the first word.
    Deno.symlinkSync("/bin/busybox", `${box.dir}/true`);
    box.spec.hooks = { [kind]: [{ path: `${box.dir}/true`, args: [] }, { path: `${box.dir}/hook`, args: [] }] };
    box.sh("true");
    const { code, stderr } = await box.run();
    assert.equal(code, 0, stderr);
    await until(() => exists(`${box.dir}/said`));
    assert.equal(Deno.readTextFileSync(`${box.dir}/said`), `${box.dir}/hook 0\n`);
  },
);

test("runk 14: a startContainer hook with an empty list of words has its path for a name", async () => {
  await using box = new Box();
  box.spec.hooks = { startContainer: [{ path: "/bin/true", args: [] }] };
  const { code, stderr } = await box.sh("true").run();
  assert.equal(code, 0, stderr);
});

testEach([
  { kind: "createRuntime", env: undefined, has: "outside" },
  { kind: "poststart", env: undefined, has: "outside" },
  { kind: "poststop", env: undefined, has: "outside" },
  { kind: "createRuntime", env: ["WORD=own"], has: "own" },
  { kind: "createRuntime", env: [], has: "" },
])("runk 40: a $kind hook whose env is $env has the word $has", async ({ kind, env, has }) => {
  await using box = new Box();
  const script = `cat >/dev/null; echo "$WORD" >${box.dir}/word`;
  box.spec.hooks = { [kind]: [{ path: "/bin/sh", args: ["sh", "-c", script], ...(env && { env }) }] };
  box.sh("true").save();
  const { code, stderr } = await box.call(["run", "--bundle", box.bundle, box.id()], { env: { WORD: "outside" } });
  assert.equal(code, 0, stderr);
  assert.equal(Deno.readTextFileSync(`${box.dir}/word`), `${has}\n`);
});

test("runk 40: a hook has the environment of the runtime's caller, and nothing of the runtime's own", async () => {
  await using box = new Box();
  const script = `cat >/dev/null; env | cut -d= -f1 | sort >${box.dir}/names`;
  box.spec.hooks = { createRuntime: [{ path: "/bin/sh", args: ["sh", "-c", script] }] };
  box.sh("true").save();
  const { code, stderr } = await box.call(["run", "--bundle", box.bundle, box.id()]);
  assert.equal(code, 0, stderr);
  const names = Deno.readTextFileSync(`${box.dir}/names`).trim().split("\n");
  const ours = [...Object.keys(Deno.env.toObject()), "PWD", "OLDPWD", "SHLVL", "_"];
  assert.deepEqual(names.filter((name) => !ours.includes(name)), []);
});

testEach([
  { env: undefined, has: "inside /root" },
  { env: ["WORD=own", "PATH=/bin"], has: "own" },
])(
  "runk 40: a startContainer hook whose env is $env has that of the container's process: $has",
  async ({ env, has }) => {
    await using box = new Box();
    const script = 'cat >/dev/null; echo "$WORD $HOME" >/tmp/word';
    box.spec.hooks = { startContainer: [{ path: "/bin/sh", args: ["sh", "-c", script], ...(env && { env }) }] };
    box.spec.process.env = ["PATH=/bin", "WORD=inside", "HOME=/root"];
    box.sh("true").save();
    const { code, stderr } = await box.call(["run", "--bundle", box.bundle, box.id()], { env: { WORD: "outside" } });
    assert.equal(code, 0, stderr);
    assert.equal(Deno.readTextFileSync(`${box.rootfs}/tmp/word`).trim(), has);
  },
);

testEach([{ kind: "prestart" }, { kind: "createRuntime" }])(
  "runk 01: a sysctl of an interface that a $kind hook makes is set",
  async ({ kind }) => {
    await using box = new Box();
    const pid = `pid=$(sed -n 's/.*"pid": *\\([0-9]*\\).*/\\1/p')`;
    const script = `${pid}; exec nsenter --net=/proc/$pid/ns/net ip link add eth9 type veth peer name peer9`;
    box.spec.hooks = { [kind]: [{ path: "/bin/sh", args: ["sh", "-c", script], env: [PATH] }] };
    box.spec.linux.sysctl = { "net.ipv4.conf.eth9.forwarding": "1" };
    const { code, stdout, stderr } = await box.sh("cat /proc/sys/net/ipv4/conf/eth9/forwarding").run();
    assert.deepEqual([code, stdout], [0, "1\n"], stderr);
  },
);
