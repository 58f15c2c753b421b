import assert from "node:assert/strict";
import { type Fd, pipe } from "../../../linux/io/fd.ts";
import { receiveFds, socketPair } from "../../../linux/net/socket.ts";
import { openQmp } from "./socket.ts";

const GREETING = '{"QMP": {"version": {}, "capabilities": []}}\r\n';

function bytes(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** Greets and answers commands; gives the number of descriptors it was sent. */
async function serve(monitor: Fd, commands: number): Promise<number> {
  monitor.writeAll(bytes(GREETING));
  let received = 0;
  const buffer = new Uint8Array(4096);
  for (let id = 1; id <= commands; id++) {
    // Blocking calls would stop the client, which lives in this thread too.
    await new Promise((resolve) => setTimeout(resolve, 50));
    const { fds } = receiveFds(monitor, buffer);
    received += fds.length;
    for (const fd of fds) fd[Symbol.dispose]();
    monitor.writeAll(bytes(`{"return": {}, "id": ${id}}\r\n`));
  }
  return received;
}

Deno.test("B40: openQmp() waits for a greeting that takes its time", async () => {
  const [ours, theirs] = socketPair();
  using monitor = theirs;
  const served = new Promise((resolve) => setTimeout(resolve, 400)).then(() => serve(monitor, 1));
  await using _qmp = await openQmp(ours, { signal: AbortSignal.timeout(5_000) });
  await served;
});

Deno.test("B40: openQmp() gives up on a silent monitor", async () => {
  const [ours, theirs] = socketPair();
  using _monitor = theirs;
  const opening = openQmp(ours, { signal: AbortSignal.timeout(5_000), readyMs: 50 });
  await assert.rejects(opening, { message: "timed out waiting for QMP ready" });
});

Deno.test("openQmp() ends with the reason of its signal, such as QEMU's death, which comes after its silence", async () => {
  const [ours, theirs] = socketPair();
  const died = new AbortController();
  const opening = openQmp(ours, { signal: died.signal });
  theirs[Symbol.dispose]();
  const reason = new Error("qemu was killed");
  setTimeout(() => died.abort(reason), 50);
  await assert.rejects(opening, reason);
});

Deno.test("Qmp.sendFd() passes the descriptor itself", async () => {
  const [ours, theirs] = socketPair();
  using monitor = theirs;
  using ends = pipe();
  const served = serve(monitor, 2);
  await using qmp = await openQmp(ours, { signal: AbortSignal.timeout(5_000) });
  await qmp.sendFd("tap0", ends.read);
  assert.equal(await served, 1);
});
