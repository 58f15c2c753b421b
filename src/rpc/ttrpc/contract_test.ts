/** Contract of client and server of ttRPC in unary calls, over each kind of stream, seen through typed clients. */
import assert from "node:assert/strict";
import { Code, ConnectError, createClient, type ServiceImpl } from "@connectrpc/connect";
import { KataError } from "../../base/error.ts";
import { Health } from "../../proto/health_pb.ts";
import { MAX_DATA_BYTES } from "./frame.ts";
import { CONNECT, failure, say, type Setup, type With, withEcho } from "./testing/echo.ts";
import type { Echo } from "./testing/echo_pb.ts";

/** A handler that never answers, and says when it was told to stop. */
function stuck(onAbort: (reason: unknown) => void): NonNullable<ServiceImpl<typeof Echo>["say"]> {
  return (_request, { signal }) => {
    signal.addEventListener("abort", () => onAbort(signal.reason));
    return new Promise(() => {});
  };
}

for (const [name, connect] of Object.entries(CONNECT)) {
  const contract = (rule: string, given: With, test: (setup: Setup) => Promise<void>) =>
    Deno.test(`ttRPC over ${name}: ${rule}`, () => withEcho(connect, given, test));

  contract("a unary call gets its answer", { impl: { say } }, async ({ client, transport }) => {
    const answer = await client.say({ text: "hello", data: new Uint8Array([1, 0xf5, 2]) });
    assert.equal(answer.text, "HELLO");
    assert.deepEqual([...answer.data], [1, 0xf5, 2]);
    assert.equal((await createClient(Health, transport).check({})).status, 1);
  });

  contract("an empty answer is an answer", { impl: { say: () => ({}) } }, async ({ client }) => {
    assert.equal((await client.say({})).text, "");
  });

  const release = Promise.withResolvers<void>();
  contract("answers come in any order", {
    impl: {
      async say({ text }) {
        if (text === "slow") await release.promise;
        else release.resolve();
        return { text };
      },
    },
  }, async ({ client }) => {
    const slow = client.say({ text: "slow" });
    assert.equal((await client.say({ text: "fast" })).text, "fast");
    assert.equal((await slow).text, "slow");
  });

  contract("many calls at once each get their own answer", { impl: { say } }, async ({ client }) => {
    const wanted = Array.from({ length: 500 }, (_, index) => `N${index}`);
    const answers = await Promise.all(wanted.map((text) => client.say({ text: text.toLowerCase() })));
    assert.deepEqual(answers.map(({ text }) => text), wanted);
  });

  contract("messages of megabytes pass, a longer one fails alone", {
    impl: { say: ({ text, data }) => text === "grow" ? { data: new Uint8Array(MAX_DATA_BYTES + 1) } : { data } },
  }, async ({ client }) => {
    const data = new Uint8Array(3 << 20).fill(0xf5);
    assert.deepEqual((await client.say({ data })).data, data);
    assert.equal((await failure(client.say({ data: new Uint8Array(MAX_DATA_BYTES) }))).code, Code.ResourceExhausted);
    assert.equal((await failure(client.say({ text: "grow" }))).code, Code.ResourceExhausted);
    assert.equal((await client.say({})).data.length, 0);
  });

  contract("a request that cannot be encoded fails alone, and nothing of it is left", {
    impl: { say },
  }, async ({ client }) => {
    // A call that stayed would fail with the connection, with nobody to hear of it.
    assert.match((await failure(client.say({ data: 5n as never }))).message, /data/);
    assert.equal((await client.say({ text: "on" })).text, "ON");
  });

  contract("a method without an implementation is UNIMPLEMENTED", {}, async ({ client }) => {
    const error = await failure(client.say({}));
    assert.equal(error.code, Code.Unimplemented);
  });

  contract("an error arrives with its code and the whole chain in one line", {
    impl: {
      say() {
        throw new KataError("NOT_FOUND", 'Cannot find container "c1"', { cause: new Error("open /x: ENOENT") });
      },
    },
  }, async ({ client }) => {
    const error = await failure(client.say({}));
    assert.ok(error instanceof ConnectError);
    assert.equal(error.code, Code.NotFound);
    assert.equal(error.message, 'Cannot find container "c1": open /x: ENOENT');
  });

  contract("metadata and deadline reach the handler", {
    impl: {
      say: (_request, { requestHeader, timeoutMs }) => ({
        text: `${requestHeader.get("containerd-namespace-ttrpc")} ${timeoutMs()! > 4000 && timeoutMs()! <= 5000}`,
      }),
    },
  }, async ({ client }) => {
    const headers = { "containerd-namespace-ttrpc": "k8s.io" };
    assert.equal((await client.say({}, { headers, timeoutMs: 5000 })).text, "k8s.io true");
  });

  const late = Promise.withResolvers<unknown>();
  contract("a deadline ends the call at both ends", { impl: { say: stuck(late.resolve) } }, async ({ client }) => {
    const error = await failure(client.say({}, { timeoutMs: 20 }));
    assert.equal(error.code, Code.DeadlineExceeded);
    assert.equal((await late.promise as ConnectError).code, Code.DeadlineExceeded);
  });

  contract("a signal ends the call at the caller's end, the connection goes on", {
    impl: { say: (request) => request.text === "wait" ? new Promise(() => {}) : say(request) },
  }, async ({ client }) => {
    const stop = new AbortController();
    const call = failure(client.say({ text: "wait" }, { signal: stop.signal }));
    stop.abort();
    assert.equal((await call).code, Code.Canceled);
    assert.equal((await client.say({ text: "on" })).text, "ON");
    assert.equal((await failure(client.say({}, { signal: stop.signal }))).code, Code.Canceled);
  });

  const gone = Promise.withResolvers<unknown>();
  contract(
    "a closed connection aborts the handler and fails the call",
    { impl: { say: stuck(gone.resolve) } },
    async (setup) => {
      const call = failure(setup.client.say({}));
      await createClient(Health, setup.transport).check({});
      setup.transport[Symbol.dispose]();
      const error = await call;
      assert.equal(error.code, Code.Unavailable);
      assert.equal(error.message, "Cannot call Say of the echo: the connection is closed");
      assert.equal((await gone.promise as ConnectError).code, Code.Canceled);
      assert.equal((await failure(setup.client.say({}))).code, Code.Unavailable);
    },
  );

  const started = Promise.withResolvers<void>();
  contract("a server that stops lets calls end, refuses new ones, and aborts those that stay", {
    impl: {
      async say({ text }, { signal }) {
        started.resolve();
        if (text === "stuck") return await new Promise<never>(() => {});
        await new Promise((resolve) => signal.addEventListener("abort", resolve) ?? setTimeout(resolve, 5));
        return { text };
      },
    },
    server: { drainMs: 50 },
  }, async ({ client, stop, serving }) => {
    const ending = client.say({ text: "ending" });
    const stays = failure(client.say({ text: "stuck" }));
    await started.promise;
    stop.abort();
    const refused = failure(client.say({ text: "new" }));
    assert.equal((await ending).text, "ending");
    assert.equal((await refused).code, Code.Unavailable);
    assert.equal((await stays).message, "The server is shutting down");
    await serving;
  });

  contract("a server refuses calls beyond its bound", {
    impl: { say: () => new Promise(() => {}) },
    server: { maxCalls: 2 },
  }, async ({ client }) => {
    const pending = [failure(client.say({})), failure(client.say({}))];
    assert.equal((await failure(client.say({}))).code, Code.ResourceExhausted);
    void pending;
  });

  contract("a default deadline counts where the call sets none", {
    impl: { say: (_request, { timeoutMs }) => ({ text: String(timeoutMs() === undefined) }) },
    client: { timeoutMs: (method) => method.name === "Say" ? 10_000 : undefined },
  }, async ({ client }) => assert.equal((await client.say({})).text, "false"));

  contract("a deadline that is not sent still ends the call at the caller's end", {
    impl: {
      say: async (_request, { timeoutMs }) => {
        await new Promise((resolve) => setTimeout(resolve, 50));
        return { text: String(timeoutMs()) };
      },
    },
    client: { sendsDeadlines: false },
  }, async ({ client }) => {
    assert.equal((await client.say({}, { timeoutMs: 10_000 })).text, "undefined");
    assert.equal((await failure(client.say({}, { timeoutMs: 10 }))).code, Code.DeadlineExceeded);
    assert.equal((await client.say({})).text, "undefined"); // the late handler has ended too
  });

  contract("interceptors run at both ends, and the handler's context stays whole", {
    impl: {
      say: (_request, { requestHeader, timeoutMs, method }) => ({
        text: `${requestHeader.get("x-client")} ${requestHeader.get("x-server")} ${timeoutMs()! > 0} ${method.name}`,
      }),
    },
    client: { interceptors: [(next) => (request) => (request.header.set("x-client", "1"), next(request))] },
    server: { interceptors: [(next) => (request) => (request.header.set("x-server", "2"), next(request))] },
  }, async ({ client }) => assert.equal((await client.say({}, { timeoutMs: 1000 })).text, "1 2 true Say"));
}
