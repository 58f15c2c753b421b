/** Containers of a user without root's rights, who maps their own id and has no cgroup to give. */
import assert from "node:assert/strict";
import { Box, host, type Result, type Spec } from "./runtime.ts";
import { test } from "./suite.ts";
import { finish } from "../support/command.ts";
import { until } from "../support/wait.ts";

const USER = 1000;

const AS_USER = [
  "setpriv",
  `--reuid=${USER}`,
  `--regid=${USER}`,
  "--clear-groups",
  "--inh-caps=-all",
  "--bounding-set=-all",
] as const;

/** A bundle of that user, made by the runtime itself. */
class UserBox extends Box {
  static async open(): Promise<UserBox> {
    const box = new UserBox();
    // The built program unpacks itself where this user may not write.
    await box.ok("--version");
    await finish("chown", { args: ["-R", `${USER}:${USER}`, box.dir] });
    const { code, stderr } = await box.as("spec", "--rootless", "--bundle", box.bundle);
    assert.equal(code, 0, stderr);
    Object.assign(box.spec, JSON.parse(Deno.readTextFileSync(`${box.bundle}/config.json`)) as Spec);
    box.spec.process.terminal = false;
    box.spec.process.env = ["PATH=/bin"];
    box.spec.root.readonly = false;
    return box;
  }

  /** Calls the runtime as the user. */
  async as(...args: string[]): Promise<Result> {
    const name = `${this.dir}/${crypto.randomUUID()}`;
    const script = `"$@" </dev/null >"$0.out" 2>"$0.err"`;
    const words = [...AS_USER, ...this.words(args)];
    const { code } = await finish("/bin/sh", { args: ["-c", script, name, ...words], cwd: this.dir });
    return { code, stdout: Deno.readTextFileSync(`${name}.out`), stderr: Deno.readTextFileSync(`${name}.err`) };
  }

  /** Output on a terminal that the user owns. */
  async onTerminal(...args: string[]): Promise<string> {
    const quoted = this.words(args).map((word) => `'${word}'`).join(" ");
    const [command = "", ...rest] = [...AS_USER, "script", "-qec", quoted, "/dev/null"];
    const { stdout } = await finish(command, { args: rest, cwd: this.dir });
    return new TextDecoder().decode(stdout);
  }

  async asOk(...args: string[]): Promise<Result> {
    const result = await this.as(...args);
    assert.equal(result.code, 0, `${args.join(" ")}: ${result.stderr}`);
    return result;
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    const made = [...Deno.readDirSync(this.dir)].some(({ name }) => name === "state")
      ? Deno.readDirSync(this.root)
      : [];
    for (const { name } of made) await this.as("delete", "--force", name);
    await super[Symbol.asyncDispose]();
  }
}

test("rootless: run maps the user to root, with all capabilities asked and an own /proc", async () => {
  await using box = await UserBox.open();
  const script =
    "id -u; id -g; echo $$; cat /proc/self/uid_map; grep CapEff /proc/self/status; touch /tmp/mine; exit 3";
  box.sh(script).save();
  const { code, stdout, stderr } = await box.as("run", "--bundle", box.bundle, box.id());
  assert.match(stdout, /^0\n0\n1\n +0 +1000 +1\nCapEff:\t0000000020000420\n$/, stderr);
  assert.equal(code, 3);
  assert.equal(Deno.statSync(`${box.rootfs}/tmp/mine`).uid, USER);
});

test("F4: rootless: a filter that does not let a process appear among others is refused by name", async () => {
  await using box = await UserBox.open();
  const id = box.id();
  box.spec.linux.seccomp = {
    defaultAction: "SCMP_ACT_ALLOW",
    syscalls: [{ names: ["setsid"], action: "SCMP_ACT_ERRNO" }],
  };
  box.spec.process.noNewPrivileges = false;
  box.sh("sleep 100").save();
  await box.asOk("run", "--detach", "--bundle", box.bundle, id);
  const { code, stderr } = await box.as("exec", id, "/bin/true");
  assert.equal(code, 255);
  assert.match(stderr, /seccomp filter.*setsid.*noNewPrivileges.*not permitted/);
  await box.asOk("exec", "--no-new-privs", id, "/bin/true");
});

test("runk 46r: rootless: a created container holds nothing of its user's, seen by exec into it", async () => {
  await using box = await UserBox.open();
  const id = box.id();
  const secret = `${box.dir}/secret`;
  Deno.writeTextFileSync(secret, "");
  box.save();
  await box.asOk("create", "--bundle", box.bundle, id);
  const script = `for fd in /proc/1/fd/*; do
    [ -d $fd ] && echo "directory $(readlink $fd)"; [ -e $fd${secret} ] && echo secret
  done
  for link in cwd root; do [ -e /proc/1/$link${secret} ] && echo $link; done
  echo looked`;
  const { stdout } = await box.asOk("exec", id, "/bin/sh", "-c", script);
  assert.equal(stdout, "looked\n");
});

test("rootless: create, start, state, list, kill, delete work without a cgroup", async () => {
  await using box = await UserBox.open();
  const id = box.id();
  box.sh("sleep 100").save();
  await box.asOk("create", "--bundle", box.bundle, id);
  await box.asOk("start", id);
  const { status, pid } = JSON.parse((await box.asOk("state", id)).stdout);
  assert.equal(status, "running");
  assert.match((await box.asOk("list")).stdout, new RegExp(`${id} +${pid} +running`));
  await box.asOk("kill", id, "KILL");
  await until(async () => JSON.parse((await box.asOk("state", id)).stdout).status === "stopped");
  await box.asOk("delete", id);
  assert.notEqual((await box.as("state", id)).code, 0);
});

test("rootless: exec runs in every namespace of the container and passes its exit status on", async () => {
  await using box = await UserBox.open();
  const id = box.id();
  box.sh("sleep 100").save();
  await box.asOk("run", "--detach", "--bundle", box.bundle, id);
  const script = "for n in user pid mnt uts ipc; do [ $(readlink /proc/1/ns/$n) = $(readlink /proc/self/ns/$n) ]" +
    " || echo $n; done; exit 9";
  const { code, stdout, stderr } = await box.as("exec", id, "/bin/sh", "-c", script);
  assert.deepEqual([code, stdout], [9, ""], stderr);
  const missing = await box.as("exec", id, "no-such-program");
  assert.match(missing.stderr, /no-such-program/);
});

test("rootless: run and exec with a terminal", async () => {
  await using box = await UserBox.open();
  const id = box.id();
  box.sh("sleep 100").save();
  await box.asOk("run", "--detach", "--bundle", box.bundle, id);
  assert.match(await box.onTerminal("exec", "--tty", id, "/bin/sh", "-c", "tty; echo $((6 * 7))"), ON_TERMINAL);
  box.spec.process.terminal = true;
  box.sh("tty; echo $((6 * 7))").save();
  assert.match(await box.onTerminal("run", "--bundle", box.bundle, box.id()), ON_TERMINAL);
});

/** script(1) tells of the end of its input somewhere between. */
const ON_TERMINAL = /\/dev\/pts\/\d\r\n.*42\r\n/;

test("rootless: delete --force ends what the container has left", async () => {
  await using box = await UserBox.open();
  const id = box.id();
  const mark = `${1e6 + Math.floor(Math.random() * 1e6)}`;
  box.sh(`sleep ${mark} & sleep ${mark}`).save();
  await box.asOk("run", "--detach", "--bundle", box.bundle, id);
  await until(async () => (await host("pgrep", "-f", `^sleep ${mark}`)).split("\n").length === 2);
  await box.asOk("delete", "--force", id);
  assert.equal(await host("pgrep", "-f", `^sleep ${mark}`), "");
});

test("rootless: a limit that needs a cgroup is refused, and so are more ids than one's own", async () => {
  await using box = await UserBox.open();
  const id = box.id();
  box.sh("true").spec.linux.resources = { memory: { limit: 64 << 20 } };
  box.save();
  assert.equal((await box.as("create", "--bundle", box.bundle, id)).code, 1);
  delete box.spec.linux.resources;
  box.spec.linux.uidMappings = [{ containerID: 0, hostID: USER, size: 1 }, { containerID: 1, hostID: 5000, size: 9 }];
  box.save();
  const { code, stderr } = await box.as("create", "--bundle", box.bundle, id);
  assert.equal(code, 1);
  assert.match(stderr, /map/);
  assert.notEqual((await box.as("state", id)).code, 0);
});

test("rootless: a startContainer hook that fails stops the container", async () => {
  await using box = await UserBox.open();
  box.spec.hooks = { startContainer: [{ path: "/bin/busybox", args: ["busybox", "false"] }] };
  const id = box.id();
  box.sh("sleep 100").save();
  await box.as("run", "--detach", "--bundle", box.bundle, id); // an error, but for runc
  assert.notEqual((await box.as("exec", id, "/bin/true")).code, 0);
});

test("rootless: each hook runs, those inside in the container's namespaces", async () => {
  await using box = await UserBox.open();
  const log = `${box.rootfs}/hooks`;
  // Beside the container the file has another name than inside.
  const hook = (name: string, file: string) => {
    const script = `echo ${name} $(readlink /proc/self/ns/user) $(readlink /proc/self/ns/pid) >>${file}`;
    return [{ path: "/bin/busybox", args: ["busybox", "sh", "-c", script], env: ["PATH=/bin"] }];
  };
  box.spec.hooks = {
    createRuntime: hook("createRuntime", log),
    createContainer: hook("createContainer", log),
    startContainer: hook("startContainer", "/hooks"),
    poststart: hook("poststart", log),
  };
  const id = box.id();
  box.sh("sleep 100").save();
  await box.asOk("run", "--detach", "--bundle", box.bundle, id);
  const { pid } = await box.state(id);
  const space = (of: string) => ["user", "pid"].map((kind) => Deno.readLinkSync(`/proc/${of}/ns/${kind}`)).join(" ");
  const [outside, inside] = [space("self"), space(`${pid}`)];
  assert.deepEqual(Deno.readTextFileSync(log).trim().split("\n").sort(), [
    `createContainer ${inside}`,
    `createRuntime ${outside}`,
    `poststart ${outside}`,
    `startContainer ${inside}`,
  ]);
});
