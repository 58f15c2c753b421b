import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import { KataError } from "../../base/error.ts";
import { createLogger } from "../../base/log.ts";
import { logCalls } from "./interceptors.ts";
import { CONNECT, failure, withEcho } from "./testing/echo.ts";

Deno.test("logCalls() names method, duration and code, never the message", async () => {
  const lines: string[] = [];
  const log = createLogger({ level: "debug", sink: (line) => lines.push(line) });
  const clock = { now: () => 5, sleep: () => Promise.resolve() };
  await withEcho(CONNECT.unix, {
    impl: {
      say({ text }) {
        if (text === "fail") throw new KataError("NOT_FOUND", "Cannot find it");
        return {};
      },
    },
    server: { interceptors: [logCalls(log, clock)] },
  }, async ({ client }) => {
    await client.say({ text: "secret" });
    await failure(client.say({ text: "fail" }));
  });
  const [first, second] = lines.map((line) => JSON.parse(line));
  assert.deepEqual([first.call, first.ms, first.code], ["kata.test.Echo/Say", 0, undefined]);
  assert.deepEqual([second.call, second.code, second.error], ["kata.test.Echo/Say", Code.NotFound, "Cannot find it"]);
  assert.ok(!lines.join().includes("secret"));
});
