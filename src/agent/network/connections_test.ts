import assert from "node:assert/strict";
import { Connections } from "./connections.ts";

function text(data: Uint8Array): string {
  return new TextDecoder().decode(data);
}

/** Accepts one connection and answers what it got when that has ended. */
async function answerOne(listener: Deno.TcpListener): Promise<void> {
  using connection = await listener.accept();
  const buffer = new Uint8Array(100);
  let got = "";
  for (let length; (length = await connection.read(buffer)) !== null;) got += text(buffer.subarray(0, length));
  await connection.write(new TextEncoder().encode(`got ${got}`));
}

Deno.test.each(["127.0.0.1", "::1"])(
  "Connections reach a server on %s only, and an end passes each way by itself",
  async (hostname) => {
    using listener = Deno.listen({ hostname, port: 0 });
    using connections = new Connections();
    const answered = answerOne(listener);
    const id = await connections.open(listener.addr.port);
    await connections.write(id, new TextEncoder().encode("ping"));
    await connections.finish(id);
    assert.equal(text(await connections.read(id, 100)), "got ping");
    assert.equal((await connections.read(id, 100)).length, 0);
    await answered;
    connections.close(id);
    connections.close(id);
    await assert.rejects(connections.read(id, 1), { code: "NOT_FOUND" });
  },
);

Deno.test("Connections say where nobody listens", async () => {
  const { port } = (() => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    return listener.addr;
  })();
  using connections = new Connections();
  await assert.rejects(connections.open(port), { code: "UNAVAILABLE", message: /refused/ });
});
