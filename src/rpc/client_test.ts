import assert from "node:assert/strict";
import { createClient } from "@connectrpc/connect";
import { AgentService } from "../proto/agent_pb.ts";
import { createTtrpcTransport } from "./client.ts";

const MIB = 1 << 20;

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
