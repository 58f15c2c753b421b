import assert from "node:assert/strict";
import { createClient } from "@connectrpc/connect";
import { AgentService } from "../../proto/agent_pb.ts";
import { createLogger } from "../../base/log.ts";
import { dial, listen } from "../transport/address.ts";
import { createTtrpcTransport } from "./client.ts";
import { defineService, serveTtrpc } from "./server.ts";

const MIB = 1 << 20;
const log = createLogger({ sink: () => {} });

Deno.test("F17: calls to a peer that reads nothing wait with their own deadlines, and do not pile up in the connection", async () => {
  const stuck = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<null>();
  let written = 0;
  const transport = createTtrpcTransport({
    read: () => closed.promise,
    async write(data) {
      await stuck.promise;
      written += data.length;
      return data.length;
    },
    close: () => closed.resolve(null),
    [Symbol.dispose]: () => {},
  }, { peer: "the agent" });
  using _transport = transport;
  const agent = createClient(AgentService, transport);
  const data = new Uint8Array(MIB);
  for (let round = 0; round < 10; round++) {
    const calls = Array.from({ length: 10 }, () => agent.writeStdin({ data }, { timeoutMs: 20 }));
    for (const { status, reason } of await Promise.allSettled(calls) as PromiseRejectedResult[]) {
      assert.equal(status, "rejected");
      assert.match(reason.message, /within 20 ms/);
    }
  }
  stuck.resolve();
  await agent.writeStdin({}, { timeoutMs: 20 }).catch(() => {});
  // The first is on its way already, 8 MiB wait behind it, and one more may come to that.
  assert.ok(written < 13 * MIB, `${written} bytes of 100 calls of 1 MiB were kept`);
});

Deno.test("calls go on after the last stream id: those that wait since before it are answered as well", async () => {
  const path = Deno.makeTempFileSync();
  Deno.removeSync(path);
  const stop = new AbortController();
  const exited = Promise.withResolvers<{ status: number }>();
  const agent = defineService(AgentService, { waitProcess: () => exited.promise, writeStdin: () => ({ len: 7 }) });
  const serving = serveTtrpc(listen(`unix://${path}`), [agent], { signal: stop.signal, log });
  {
    const transport = createTtrpcTransport(await dial(`unix://${path}`), {
      peer: "the agent",
      firstStreamId: 0xffff_fffd,
    });
    using _transport = transport;
    const client = createClient(AgentService, transport);
    const waiting = [client.waitProcess({}), client.writeStdin({}), client.waitProcess({}), client.waitProcess({})];
    assert.equal((await waiting[1] as { len: number }).len, 7);
    for (let call = 0; call < 10; call++) assert.equal((await client.writeStdin({})).len, 7);
    exited.resolve({ status: 9 });
    const ends = [await waiting[0], await waiting[2], await waiting[3]] as { status: number }[];
    assert.deepEqual(ends.map(({ status }) => status), [9, 9, 9]);
  }
  stop.abort();
  await serving;
});
