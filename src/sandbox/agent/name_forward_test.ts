import assert from "node:assert/strict";
import { abortable } from "../../base/async.ts";
import { createLogger } from "../../base/log.ts";
import { countReactions } from "../../base/testing/reactions.ts";
import { NameForward, type NameForwardOptions } from "./name_forward.ts";

const STUCK = 63;
const QUERIES = 400;

Deno.test("atk3 1: a guest that takes 63 answers never and cycles the last place costs NameForward nothing a query", async () => {
  using reactions = countReactions();
  const enough = Promise.withResolvers<void>();
  const waits: (number | undefined)[] = [];
  let asked = 0;
  const resolver: NameForwardOptions["agent"]["resolver"] = {
    listen: () => Promise.resolve(),
    async next({ signal }) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      if (asked === QUERIES) await abortable(new Promise(() => {}), signal!);
      if (++asked === QUERIES) enough.resolve();
      return { id: asked, message: new Uint8Array(1), tcp: false };
    },
    answer(id, _message, { signal, timeoutMs } = {}) {
      waits.push(timeoutMs);
      return id <= STUCK ? abortable(new Promise(() => {}), signal!) : Promise.resolve();
    },
  };
  // No query is a standard one: none leaves for a namespace.
  const options = { netns: undefined, agent: { resolver }, log: createLogger({ sink: () => {} }) };
  const names = new NameForward(options as unknown as NameForwardOptions);
  await names.serve(["nameserver 127.0.0.11"]);
  await enough.promise;
  await names[Symbol.asyncDispose]();
  assert.ok(reactions.most() < 10, `${reactions.most()} reactions on one promise`);
  assert.ok(waits.every((ms) => ms !== undefined && ms <= 10_000), "each answer is given up in time");
});
