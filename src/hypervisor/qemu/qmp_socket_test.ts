import assert from "node:assert/strict";
import { pipe } from "../../linux/fd.ts";
import { acceptUnix, listenUnix, receiveFds } from "../../linux/socket.ts";
import { connectQmp } from "./qmp_socket.ts";

const GREETING = '{"QMP": {"version": {}, "capabilities": []}}\r\n';

function socketPath(): Disposable & { path: string } {
  const directory = Deno.makeTempDirSync({ prefix: "kata-qmp-" });
  return { path: `${directory}/qmp.sock`, [Symbol.dispose]: () => Deno.removeSync(directory, { recursive: true }) };
}

function bytes(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** Greets one client and answers its commands; gives the descriptors it was sent. */
async function serveOnce(path: string, commands: number): Promise<number> {
  using listener = listenUnix(path);
  using client = await acceptUnix(listener);
  client.setBlocking();
  client.writeAll(bytes(GREETING));
  let received = 0;
  const buffer = new Uint8Array(4096);
  for (let id = 1; id <= commands; id++) {
    // Blocking calls would stop the client, which lives in this thread too.
    await new Promise((resolve) => setTimeout(resolve, 50));
    const { fds } = receiveFds(client, buffer);
    received += fds.length;
    for (const fd of fds) fd[Symbol.dispose]();
    client.writeAll(bytes(`{"return": {}, "id": ${id}}\r\n`));
  }
  return received;
}

Deno.test("B40: connectQmp() repeats until the monitor listens", async () => {
  using socket = socketPath();
  const served = new Promise((resolve) => setTimeout(resolve, 120)).then(() => serveOnce(socket.path, 1));
  await using _qmp = await connectQmp(socket.path, { signal: AbortSignal.timeout(5_000) });
  await served;
});

Deno.test("B40: connectQmp() gives a silent monitor 250 ms, then tries again", async () => {
  using socket = socketPath();
  using listener = listenUnix(socket.path);
  const begin = performance.now();
  const connecting = connectQmp(socket.path, { signal: AbortSignal.timeout(5_000), readyMs: 700 });
  using _first = await acceptUnix(listener);
  using _second = await acceptUnix(listener);
  assert.ok(performance.now() - begin >= 250);
  await assert.rejects(connecting, { message: `timed out waiting for QMP ready: ${socket.path}` });
});

Deno.test("B40: connectQmp() wraps the last error when nobody listens in time", async () => {
  const path = "/tmp/no/such/qmp.sock";
  await assert.rejects(connectQmp(path, { signal: AbortSignal.timeout(5_000), readyMs: 150 }), (error: Error) => {
    assert.equal(error.message, `timed out waiting for QMP ready: ${path}`);
    assert.match((error.cause as Error).message, /ENOENT/);
    return true;
  });
});

Deno.test("connectQmp() ends with the reason of its signal, such as the monitor's death", async () => {
  const reason = new Error("qemu was killed");
  const died = new AbortController();
  const connecting = connectQmp("/tmp/no/such/qmp.sock", { signal: died.signal });
  died.abort(reason);
  await assert.rejects(connecting, reason);
});

Deno.test("Qmp.sendFd() passes the descriptor itself", async () => {
  using socket = socketPath();
  using ends = pipe();
  const served = serveOnce(socket.path, 2);
  await using qmp = await connectQmp(socket.path, { signal: AbortSignal.timeout(5_000) });
  await qmp.sendFd("tap0", ends.read);
  assert.equal(await served, 1);
});
