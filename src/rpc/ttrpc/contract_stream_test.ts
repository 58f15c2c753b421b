/** Contract of client and server of ttRPC in streaming calls, over each kind of stream. */
import assert from "node:assert/strict";
import { Code, type ServiceImpl } from "@connectrpc/connect";
import { KataError } from "../../base/error.ts";
import { CONNECT, failure, say, type Setup, type With, withEcho } from "./testing/echo.ts";
import type { Echo } from "./testing/echo_pb.ts";

async function collect(messages: AsyncIterable<{ text: string }>): Promise<string[]> {
  const texts: string[] = [];
  for await (const { text } of messages) texts.push(text);
  return texts;
}

async function* texts(...all: string[]) {
  for (const text of all) yield { text };
}

for (const [name, connect] of Object.entries(CONNECT)) {
  const contract = (rule: string, given: With, test: (setup: Setup) => Promise<void>) =>
    Deno.test(`ttRPC over ${name}: ${rule}`, () => withEcho(connect, given, test));

  const streaming: Partial<ServiceImpl<typeof Echo>> = {
    async *count({ text }) {
      for (let at = 1; at <= Number(text); at++) yield { text: String(at) };
      if (text === "fail") throw new KataError("ABORTED", "Cannot count");
    },
    async join(requests) {
      return { text: (await collect(requests)).join("+") };
    },
    async *chat(requests) {
      for await (const request of requests) yield say(request);
    },
  };

  contract("a server streams", { impl: streaming }, async ({ client }) => {
    assert.deepEqual(await collect(client.count({ text: "3" })), ["1", "2", "3"]);
    assert.deepEqual(await collect(client.count({ text: "0" })), []);
    assert.equal((await collect(client.count({ text: "900" }))).length, 900);
    const error = await failure(collect(client.count({ text: "fail" })));
    assert.equal(error.code, Code.Aborted);
  });

  contract("a client streams", { impl: streaming }, async ({ client }) => {
    assert.equal((await client.join(texts("a", "b", ""))).text, "a+b+");
    assert.equal((await client.join(texts())).text, "");
  });

  contract("both stream, message by message", { impl: streaming }, async ({ client }) => {
    const { promise: answered, resolve } = Promise.withResolvers<void>();
    async function* requests() {
      yield { text: "a" };
      await answered;
      yield { text: "b" };
    }
    const got: string[] = [];
    for await (const { text } of client.chat(requests())) {
      got.push(text);
      resolve();
    }
    assert.deepEqual(got, ["A", "B"]);
  });

  contract("a stream ends with its signal and with its deadline", {
    impl: {
      async *count(_request, { signal }) {
        yield { text: "1" };
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
      },
    },
  }, async ({ client }) => {
    const stop = new AbortController();
    const error = await failure((async () => {
      for await (const _answer of client.count({}, { signal: stop.signal })) stop.abort();
    })());
    assert.equal(error.code, Code.Canceled);
    assert.equal((await failure(collect(client.count({}, { timeoutMs: 20 })))).code, Code.DeadlineExceeded);
  });
}
