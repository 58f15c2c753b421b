/** Flags, formats and refusals of the command line that go-runc, Docker and Podman rely on. */
import assert from "node:assert/strict";
import { Box, RUNTIME } from "./runtime.ts";
import { test, testEach } from "./suite.ts";
import { finish, finished } from "../support/command.ts";
import { until } from "../support/wait.ts";

test("--version names the version of the specification", async () => {
  await using box = new Box();
  const { stdout } = await box.ok("--version");
  assert.match(stdout, /version/);
  assert.match(stdout, /spec: 1\.\d+\.\d+/);
});

test("spec: writes a template that runs, and refuses to overwrite it", async () => {
  await using box = new Box();
  const dir = `${box.dir}/template`;
  Deno.mkdirSync(dir);
  await box.ok("spec", "--bundle", dir);
  const spec = JSON.parse(Deno.readTextFileSync(`${dir}/config.json`));
  assert.equal(spec.process.args[0], "sh");
  assert.equal((await box.call(["spec", "--bundle", dir])).code, 1);
  spec.process.terminal = false;
  spec.process.args = ["/bin/echo", "from the template"];
  Deno.writeTextFileSync(`${dir}/config.json`, JSON.stringify(spec));
  Deno.renameSync(box.rootfs, `${dir}/rootfs`);
  const { code, stdout, stderr } = await box.call(["run", "--bundle", dir, box.id()]);
  assert.deepEqual([code, stdout], [0, "from the template\n"], stderr);
});

test("errors: one line on stderr, exit status 1, and the same in --log as JSON", async () => {
  await using box = new Box();
  const log = `${box.dir}/log.json`;
  const { code, stdout, stderr } = await box.call(["state", "nobody"], {
    global: ["--log", log, "--log-format", "json"],
  });
  assert.deepEqual([code, stdout], [1, ""]);
  assert.match(stderr, /does not exist/);
  const record = JSON.parse(Deno.readTextFileSync(log).trim().split("\n").at(-1)!);
  assert.equal(record.level, "error");
  assert.match(record.msg, /does not exist/);
  assert.ok(!Number.isNaN(Date.parse(record.time)));
});

test("errors: a log in text format is appended to", async () => {
  await using box = new Box();
  const log = `${box.dir}/log.txt`;
  for (const _ of [1, 2]) await box.call(["state", "nobody"], { global: ["--log", log] });
  assert.equal(Deno.readTextFileSync(log).match(/level=error/g)?.length, 2);
});

test("errors: stderr has a record of a log, or with --log, which has that, the plain words", async () => {
  await using box = new Box();
  assert.match((await box.call(["state", "nobody"])).stderr, /^time=\S+ level=error msg=".*does not exist"\n$/);
  const { stderr } = await box.call(["state", "nobody"], { global: ["--log", `${box.dir}/log`] });
  assert.match(stderr, /^[^"=]*\S.*does not exist\n$/);
  assert.doesNotMatch(stderr, /level=/);
});

test("errors: say what the kernel said, in the words that Docker and Podman look for", async () => {
  await using box = new Box();
  const id = box.id();
  box.sh("sleep 100").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  const exec = await box.call(["exec", "--cwd", "/no/such", id, "/bin/true"]);
  assert.match(exec.stderr, /no such file or directory/);
  Deno.writeTextFileSync(`${box.dir}/file`, "");
  box.spec.mounts.push({ destination: "/tmp", type: "bind", source: `${box.dir}/file`, options: ["bind"] });
  assert.match((await box.run()).stderr, /not a directory/);
});

testEach([
  { name: "plain", why: /executable file not found in \$PATH/ },
  { name: "/bin/plain", why: /permission denied/ },
  { name: "/etc", why: /permission denied/ },
])("errors: create says already that $name cannot be executed", async ({ name, why }) => {
  await using box = new Box();
  Deno.writeTextFileSync(`${box.rootfs}/bin/plain`, "", { mode: 0o644 });
  box.spec.process.args = [name];
  box.save();
  const { code, stderr } = await box.call(["create", "--bundle", box.bundle, box.id()]);
  assert.equal(code, 1);
  assert.match(stderr, why);
});

testEach([
  { name: "no process.args", change: (spec: { process: { args?: unknown } }) => spec.process.args = [] },
  { name: "no cwd", change: (spec: { process: { cwd?: unknown } }) => spec.process.cwd = "" },
  { name: "a relative cwd", change: (spec: { process: { cwd?: unknown } }) => spec.process.cwd = "tmp" },
  {
    name: "a terminal without console socket",
    change: (spec: { process: { terminal?: unknown } }) => spec.process.terminal = true,
  },
])("create: $name is refused and nothing is left", async ({ change }) => {
  await using box = new Box();
  const id = box.id();
  change(box.spec);
  box.save();
  assert.equal((await box.call(["create", "--bundle", box.bundle, id])).code, 1);
  assert.equal((await box.call(["state", id])).code, 1);
});

test("create: broken JSON and a missing config.json are refused", async () => {
  await using box = new Box();
  assert.match((await box.call(["create", "--bundle", box.bundle, box.id()])).stderr, /config\.json/);
  Deno.writeTextFileSync(`${box.bundle}/config.json`, "{ not json");
  assert.equal((await box.call(["create", "--bundle", box.bundle, box.id()])).code, 1);
});

testEach([{ id: "../escape" }, { id: "a/b" }, { id: "." }])("create: id $id is refused", async ({ id }) => {
  await using box = new Box();
  box.save();
  const { code, stderr } = await box.call(["create", "--bundle", box.bundle, id]);
  assert.equal(code, 1);
  assert.match(stderr, /invalid|id/i);
});

test("state, start, kill, pause, exec: an unknown container is named", async () => {
  await using box = new Box();
  for (const args of [["state", "x9"], ["start", "x9"], ["kill", "x9"], ["pause", "x9"], ["exec", "x9", "true"]]) {
    const { code, stderr } = await box.call(args);
    assert.notEqual(code, 0, args.join(" "));
    assert.match(stderr, /does not exist|not found/, args.join(" "));
  }
});

test("checkpoint: is refused or needs criu, never half done", async () => {
  await using box = new Box();
  const id = box.id();
  box.sh("sleep 100").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  const { code, stderr } = await box.call(["checkpoint", id]);
  assert.notEqual(code, 0);
  assert.ok(stderr.length > 0);
  assert.equal((await box.state(id)).status, "running");
});

test("run with a terminal: the container has a controlling tty of the caller's size", async () => {
  await using box = new Box();
  box.sh(
    "tty; until stty size 2>/dev/null | grep .; do sleep 0.05; done; ls -l /dev/console | cut -c1; echo typed: $(head -1)",
  )
    .spec.process.terminal = true;
  box.save();
  // script(1) gives the runtime a terminal of its own, and types one line once it is asked for: its echo would be
  // anywhere else.
  const command = `stty rows 33 cols 77; ${RUNTIME} --root ${box.root} run --bundle ${box.bundle} ${box.id()}`;
  const args = ["-qec", command, "/dev/null"];
  const child = new Deno.Command("script", { args, stdin: "piped", stdout: "piped", stderr: "null" }).spawn();
  const writer = child.stdin.getWriter();
  let text = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    const wasAsked = text.includes("\nc\n");
    text += chunk.replaceAll("\r", "");
    if (!wasAsked && text.includes("\nc\n")) await writer.write(new TextEncoder().encode("hello\n"));
  }
  await writer.close().catch(() => {}); // it has ended
  await child.status;
  assert.match(text, /^\/dev\/pts\/0\n33 77\nc\n/);
  assert.match(text, /typed: hello/);
});

test("exec --tty: the user has a terminal, its group is that of terminals, and the exit status is passed on", async () => {
  await using box = new Box();
  const id = box.id();
  box.sh("sleep 100").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  const command =
    `${RUNTIME} --root ${box.root} exec --tty --user 1000:1000 ${id} /bin/sh -c 'tty; stat -c %u:%g $(tty); exit 6'`;
  const args = ["-qec", command, "/dev/null"];
  // An input that ends has script(1) type a NUL, whose echo comes between the lines now and then.
  const child = new Deno.Command("script", { args, stdin: "piped", stdout: "piped", stderr: "null" }).spawn();
  const { code, stdout } = await finished(child, ["script", ...args]);
  await child.stdin.close().catch(() => {}); // it has ended
  assert.match(new TextDecoder().decode(stdout), /\/dev\/pts\/\d\r\n1000:5\r\n/);
  assert.equal(code, 6);
});

test("run: signals to the runtime reach the container", async () => {
  await using box = new Box();
  box.sh("trap 'echo got it; exit 5' TERM; echo ready > /tmp/ready; while :; do sleep 0.05; done").save();
  const child = new Deno.Command(RUNTIME, {
    args: ["--root", box.root, "run", "--bundle", box.bundle, box.id()],
    stdout: "piped",
  }).spawn();
  await until(async () => await Deno.stat(`${box.rootfs}/tmp/ready`).catch(() => undefined) !== undefined);
  child.kill("SIGTERM");
  const { code, stdout } = await finished(child, ["run"]);
  assert.deepEqual([code, new TextDecoder().decode(stdout)], [5, "got it\n"]);
});

test("--preserve-fds: hands over extra descriptors", async () => {
  await using box = new Box();
  box.sh("cat <&3").save();
  Deno.writeTextFileSync(`${box.dir}/extra`, "through fd 3");
  const script = `exec "$@" 3<${box.dir}/extra`;
  const args = [
    "-c",
    script,
    "sh",
    RUNTIME,
    "--root",
    box.root,
    "run",
    "--preserve-fds",
    "1",
    "--bundle",
    box.bundle,
    box.id(),
  ];
  const { stdout } = await finish("/bin/sh", { args });
  assert.equal(new TextDecoder().decode(stdout), "through fd 3");
});
