import assert from "node:assert/strict";
import { serveLog } from "./log_sink.ts";

async function readLines(conn: Deno.Conn, count: number): Promise<string[]> {
  let text = "";
  const buffer = new Uint8Array(1024);
  while (text.split("\n").length <= count) {
    const length = await conn.read(buffer);
    assert.notEqual(length, null);
    text += new TextDecoder().decode(buffer.subarray(0, length!));
  }
  return text.trim().split("\n");
}

Deno.test("serveLog() keeps lines until somebody reads, and goes on with the next reader", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const log = serveLog(listener);
  log.sink("early", "info");
  {
    using reader = await Deno.connect({ port });
    assert.deepEqual(await readLines(reader, 1), ["early"]);
    log.sink("one", "info");
    log.sink("two", "info");
    assert.deepEqual(await readLines(reader, 2), ["one", "two"]);
    log[Symbol.dispose]();
    assert.equal(await reader.read(new Uint8Array(1)), null);
  }
  await log.done;
});

Deno.test("serveLog() ends while nobody has come", async () => {
  const log = serveLog(Deno.listen({ hostname: "127.0.0.1", port: 0 }));
  for (let line = 0; line < 2000; line++) log.sink(`${line}`, "info");
  log[Symbol.dispose]();
  await log.done;
});

Deno.test("F17: serveLog() keeps 1 MiB of lines at most, the latest ones", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const log = serveLog(listener);
  const long = "x".repeat(10_000);
  for (let line = 0; line < 1000; line++) log.sink(`${line} ${long}`, "info");
  {
    using reader = await Deno.connect({ port });
    const lines = await readLines(reader, 104);
    assert.deepEqual(lines.map((line) => Number(line.split(" ")[0])), Array.from({ length: 104 }, (_, at) => 896 + at));
    log[Symbol.dispose]();
  }
  await log.done;
});
