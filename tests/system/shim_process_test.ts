/** The shim's processes as containerd starts them: `start`, the one that it leaves, and `delete`. Needs root. */
import assert from "node:assert/strict";
import { fromBinary } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { DeleteResponseSchema, Task as TaskV2 } from "../../src/proto/task_v2_pb.ts";
import { Task as TaskV3 } from "../../src/proto/task_v3_pb.ts";
import { RuntimeInfoSchema } from "../../src/proto/containerd_types_pb.ts";
import { makeFifo } from "../../src/linux/io/fifo.ts";
import { dial } from "../../src/rpc/transport/address.ts";
import { socketAddress } from "../../src/shim/bootstrap.ts";
import { createTtrpcTransport } from "../../src/rpc/ttrpc/client.ts";
import { until } from "../support/wait.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;
const POD = { "io.kubernetes.cri.container-type": "container" };

interface Result {
  status: number;
  stdout: Uint8Array;
  stderr: string;
}

/** A bundle for one task, with an id that nobody else uses. */
class Task implements Disposable {
  readonly bundle = Deno.makeTempDirSync({ prefix: "kata-start-" });
  readonly id = `t${crypto.randomUUID().slice(0, 8)}`;

  constructor(annotations: Record<string, string> = {}) {
    Deno.writeTextFileSync(`${this.bundle}/config.json`, JSON.stringify({ ociVersion: "1.2.0", annotations }));
  }

  /** Commands of a shell that run before the shim's, in a mount namespace of its own. */
  before = "";

  async shim(...args: readonly string[]): Promise<Result> {
    const words = [
      Deno.execPath(),
      "run",
      "-A",
      "--unstable-vsock",
      "--no-check",
      MAIN,
      "containerd-shim-kata-v2",
      ...args,
    ];
    const [command = "", ...rest] = this.before === ""
      ? words
      : ["unshare", "-m", "sh", "-c", `${this.before}; exec "$@"`, "sh", ...words];
    const { code, stdout, stderr } = await new Deno.Command(command, {
      args: rest,
      cwd: this.bundle,
      stdin: "null",
    }).output();
    return { status: code, stdout, stderr: new TextDecoder().decode(stderr) };
  }

  async action(...words: readonly string[]): Promise<Result> {
    const publish = ["-address", `${this.bundle}/c.sock`, "-publish-binary", "/usr/bin/containerd"];
    return await this.shim("-namespace", "test", ...publish, "-id", this.id, ...words);
  }

  async start(): Promise<string> {
    const { status, stdout, stderr } = await this.action("start");
    assert.equal(status, 0, stderr);
    assert.equal(stderr, "");
    return new TextDecoder().decode(stdout);
  }

  [Symbol.dispose](): void {
    try {
      Deno.kill(Number(Deno.readTextFileSync(`${this.bundle}/shim.pid`)), "SIGKILL");
    } catch {
      // It has ended, or never began.
    }
    Deno.removeSync(this.bundle, { recursive: true });
  }
}

async function pathExists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

Deno.test("start prints the bare address of a shim that serves task API 2 and 3, until Shutdown (B52)", async () => {
  using task = new Task();
  const address = await task.start();
  assert.match(address, /^unix:\/\/\/run\/containerd\/s\/[0-9a-f]{64}$/);
  const pid = Number(Deno.readTextFileSync(`${task.bundle}/shim.pid`));
  assert.equal(Deno.readTextFileSync(`${task.bundle}/address`), address);
  assert.equal(Deno.statSync(address.slice(7)).mode! & 0o777, 0o600);
  {
    const transport = createTtrpcTransport(await dial(address), { peer: "the shim" });
    using _transport = transport;
    const v2 = createClient(TaskV2, transport);
    assert.deepEqual((await v2.connect({ id: task.id })).shimPid, pid);
    assert.deepEqual((await createClient(TaskV3, transport).connect({ id: task.id })).shimPid, pid);
    await assert.rejects(v2.state({ id: task.id }), /Cannot find a sandbox/);
    await assert.rejects(v2.checkpoint({ id: task.id }), /not implemented/);
    // The service manager's SIGTERM does not end it.
    Deno.kill(pid, "SIGTERM");
    await v2.connect({ id: task.id });
    await v2.shutdown({ id: task.id, now: true });
    await transport.closed;
  }
  await until(async () => !(await pathExists(`/proc/${pid}`)));
  assert.ok(!await pathExists(address.slice(7)));
});

Deno.test("kvm M4: a shim that is started and cannot serve tells the caller of its first call why, and then ends", async () => {
  using task = new Task();
  task.before = "mount -t tmpfs none /sys/fs/cgroup";
  const address = await task.start();
  const pid = Number(Deno.readTextFileSync(`${task.bundle}/shim.pid`));
  {
    using transport = createTtrpcTransport(await dial(address), { peer: "the shim" });
    const v2 = createClient(TaskV2, transport);
    for (const call of [v2.create({ id: task.id }), v2.connect({ id: task.id })]) {
      await assert.rejects(call, /Cannot serve tasks: Cannot find cgroups below/);
    }
    await v2.shutdown({ id: task.id, now: true });
  }
  await until(async () => !(await pathExists(`/proc/${pid}`)));
  assert.ok(!await pathExists(address.slice(7)));
});

Deno.test("F17: start writes nothing where links in its bundle lead, and waits for no writer of a fifo there", async () => {
  using task = new Task();
  const victim = `${task.bundle}/victim`;
  Deno.writeTextFileSync(victim, "precious");
  for (const name of ["address", "shim.pid"]) Deno.symlinkSync(victim, `${task.bundle}/${name}`);
  assert.equal(Deno.readTextFileSync(`${task.bundle}/address`), "precious");
  const address = await task.start();
  assert.equal(Deno.readTextFileSync(victim), "precious");
  assert.equal(Deno.readTextFileSync(`${task.bundle}/address`), address);
  Deno.kill(Number(Deno.readTextFileSync(`${task.bundle}/shim.pid`)), "SIGKILL");
  await task.action("-bundle", task.bundle, "delete");
  assert.ok(!await pathExists(address.slice(7)));
  using other = new Task();
  Deno.removeSync(`${other.bundle}/config.json`);
  makeFifo(`${other.bundle}/config.json`, 0o600);
  const { status, stderr } = await other.action("start");
  assert.equal(status, 1);
  assert.match(stderr, /config.json": Cannot read ".*": no regular file/);
});

Deno.test("start answers for a pod's container with the sandbox's address and starts nothing", async () => {
  const sandboxId = `pod${crypto.randomUUID().slice(0, 8)}`;
  using container = new Task({ ...POD, "io.kubernetes.cri.sandbox-id": sandboxId });
  const address = await container.start();
  const identity = { address: `${container.bundle}/c.sock`, namespace: "test", id: sandboxId };
  assert.equal(address, await socketAddress(identity));
  assert.ok(!await pathExists(`${container.bundle}/shim.pid`));
});

Deno.test("start refuses a task that has a shim, and takes the socket of one that is gone", async () => {
  using task = new Task();
  const address = await task.start();
  const pid = Number(Deno.readTextFileSync(`${task.bundle}/shim.pid`));
  const again = await task.action("start");
  assert.equal(again.status, 1);
  assert.match(again.stderr, /Cannot serve on unix:.*: a shim does already/);
  Deno.kill(pid, "SIGKILL");
  await until(async () => !(await pathExists(`/proc/${pid}`)));
  assert.ok(await pathExists(address.slice(7)));
  assert.equal(await task.start(), address);
  Deno.kill(Number(Deno.readTextFileSync(`${task.bundle}/shim.pid`)), "SIGKILL");
  await task.action("-bundle", task.bundle, "delete");
  assert.ok(!await pathExists(address.slice(7)));
});

Deno.test("start without a configuration exits with 1 and one line (B46)", async () => {
  using task = new Task();
  Deno.removeSync(`${task.bundle}/config.json`);
  const { status, stdout, stderr } = await task.action("start");
  assert.equal(status, 1);
  assert.equal(stdout.length, 0);
  assert.match(stderr, /^containerd-shim-kata-v2: Cannot read ".*\/config.json": .*\n$/);
});

Deno.test("delete answers 137 twice, whatever is there, within 5 s (B38)", async () => {
  using task = new Task();
  for (let time = 0; time < 2; time++) {
    const begin = performance.now();
    const { status, stdout, stderr } = await task.action("-bundle", task.bundle, "delete");
    assert.equal(status, 0, stderr);
    const response = fromBinary(DeleteResponseSchema, stdout);
    assert.equal(response.exitStatus, 137);
    assert.ok(response.exitedAt !== undefined);
    assert.ok(performance.now() - begin < 5000);
  }
});

Deno.test("-info answers RuntimeInfo, and -version text (B52)", async () => {
  using task = new Task();
  const { stdout } = await task.shim("-info");
  const { name, annotations } = fromBinary(RuntimeInfoSchema, stdout);
  assert.equal(name, "io.containerd.kata.v2");
  // A mount type that containerd leaves to the shim is one that the shim must take: we take none of them yet.
  assert.equal(annotations["containerd.io/runtime-allow-mounts"], undefined);
  assert.match(new TextDecoder().decode((await task.shim("--version")).stdout), /Version: /);
});
