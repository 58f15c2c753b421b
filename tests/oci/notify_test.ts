/** Readiness: what a container says to its NOTIFY_SOCKET comes to ours (sd_notify(3)). */
import assert from "node:assert/strict";
import { exists } from "../../src/base/files.ts";
import { bindDatagram, connectDatagram } from "../../src/linux/net/datagram.ts";
import { readableWithin } from "../../src/linux/io/poll.ts";
import { receiveFds } from "../../src/linux/net/socket.ts";
import { Box, RUNTIME } from "./runtime.ts";
import { test } from "./suite.ts";
import { finished } from "../support/command.ts";
import { until } from "../support/wait.ts";

const INSIDE = "/run/notify/notify.sock";

/** A service manager's end of the protocol: takes messages, and closes the descriptors that come with them. */
class Manager implements AsyncDisposable {
  readonly box: Box = new Box();
  readonly id: string = this.box.id();
  readonly path: string = `${this.box.dir}/host.sock`;
  readonly messages: string[] = [];
  readonly #socket = bindDatagram(this.path);
  readonly #timer = setInterval(() => this.#take(), 10);

  constructor() {
    // Whether the variable is set shows in the container's last words, whether the socket is there in its files.
    this.box.sh(`echo $NOTIFY_SOCKET; trap 'exit 7' TERM; while :; do sleep 0.1; done`).save();
  }

  get #words(): [string, Deno.CommandOptions] {
    return [RUNTIME, { cwd: this.box.dir, env: { NOTIFY_SOCKET: this.path }, stdin: "null", stderr: "null" }];
  }

  /** Calls the runtime, which may wait for a message. Its stdout is the container's. */
  spawn(...args: string[]): Deno.ChildProcess {
    const [command, options] = this.#words;
    const words = ["--root", this.box.root, ...args];
    return new Deno.Command(command, { ...options, stdout: "piped", args: words }).spawn();
  }

  #take(): void {
    while (readableWithin(this.#socket, 0)) {
      const buffer = new Uint8Array(4096);
      const { length, fds } = receiveFds(this.#socket, buffer);
      this.messages.push(new TextDecoder().decode(buffer.subarray(0, length)));
      for (const fd of fds) fd[Symbol.dispose]();
    }
  }

  /** Says it as the container's program would. */
  async say(...messages: string[]): Promise<number> {
    await until(async () => (await this.box.call(["state", this.id])).stdout.includes('"running"'));
    const { pid } = await this.box.state(this.id);
    const path = `/proc/${pid}/root${INSIDE}`;
    await until(() => exists(path));
    using socket = connectDatagram(path);
    for (const message of messages) socket.write(new TextEncoder().encode(message));
    return pid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.box[Symbol.asyncDispose]();
    this.#socket[Symbol.dispose]();
  }
}

/** Messages that were told, but for the barrier. */
async function told({ messages }: Manager): Promise<string[]> {
  await until(() => messages.length >= 2);
  return messages.slice(0, 2);
}

function expected(pid: number): string[] {
  return ["READY=1\n", `MAINPID=${pid}\n`];
}

test("NOTIFY_SOCKET: run --detach returns once the container is ready, and tells its pid", async () => {
  await using manager = new Manager();
  const { box, id } = manager;
  box.sh(`echo $NOTIFY_SOCKET >/tmp/variable; sleep 100 >/dev/null 2>&1`).save();
  const child = manager.spawn("run", "--detach", "--bundle", box.bundle, id);
  let hasReturned = false;
  void child.status.then(() => hasReturned = true);
  const pid = await manager.say("STATUS=loading");
  assert.deepEqual([hasReturned, manager.messages], [false, []]);
  await manager.say("READY=1");
  const { success } = await child.status;
  await child.stdout.cancel();
  assert.ok(success);
  assert.deepEqual(await told(manager), expected(pid));
  assert.equal(Deno.readTextFileSync(`${box.rootfs}/tmp/variable`), `${INSIDE}\n`);
});

test("NOTIFY_SOCKET: start waits for a container that create made, and ends with it", async () => {
  await using manager = new Manager();
  const { box, id } = manager;
  for (const stage of [["create", "--bundle", box.bundle, id], ["start", id]]) {
    const child = manager.spawn(...stage);
    if (stage[0] === "start") {
      const pid = await manager.say("STATUS=dying");
      Deno.kill(pid, "SIGTERM");
    }
    assert.ok((await child.status).success, stage.join(" "));
    await child.stdout.cancel();
  }
  assert.deepEqual(manager.messages, []);
});

test("NOTIFY_SOCKET: run in the foreground is the process to look after", async () => {
  await using manager = new Manager();
  const { box, id } = manager;
  const child = manager.spawn("run", "--bundle", box.bundle, id);
  const pid = await manager.say("READY=1");
  assert.deepEqual(await told(manager), expected(child.pid));
  Deno.kill(pid, "SIGTERM");
  const { code, stdout } = await finished(child, ["run"]);
  assert.deepEqual([code, new TextDecoder().decode(stdout)], [7, `${INSIDE}\n`]);
});

test("NOTIFY_SOCKET: a barrier follows, so that the messages are taken in before start ends", async () => {
  await using manager = new Manager();
  const { box, id } = manager;
  box.sh("sleep 100 >/dev/null 2>&1").save();
  const child = manager.spawn("run", "--detach", "--bundle", box.bundle, id);
  await manager.say("READY=1");
  assert.ok((await child.status).success);
  await child.stdout.cancel();
  assert.equal(manager.messages.at(-1), "BARRIER=1");
});

test("NOTIFY_SOCKET: without one the container has none", async () => {
  await using box = new Box();
  const { stdout } = await box.sh("echo [$NOTIFY_SOCKET]; ls /run 2>/dev/null").run();
  assert.equal(stdout, "[]\n");
});
