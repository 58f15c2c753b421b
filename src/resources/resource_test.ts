import assert from "node:assert/strict";
import { createLogger, type Logger } from "../base/log.ts";
import { attachAll, type Handler, type HandlerList, type HostResource, prepareAll } from "./resource.ts";
import { NO_DISKS } from "./testing/no_disks.ts";

const { signal } = new AbortController();

/** Notes what happens to pieces that are named by numbers; those that `fails` names fail there. */
function listed(events: string[], fails: readonly string[] = []): HandlerList<number, { log?: Logger }, HostResource> {
  const note = (event: string) => {
    events.push(event);
    if (fails.includes(event)) throw new Error(event);
  };
  const handler = (name: string, matches: (input: number) => boolean): Handler<number, { log?: Logger }> => ({
    name,
    matches,
    prepare(input) {
      note(`prepare ${input} by ${name}`);
      return {
        name,
        async attach() {
          await Promise.resolve();
          note(`attach ${input}`);
          return { held: { [Symbol.asyncDispose]: async () => note(`detach ${input}`) } };
        },
        [Symbol.asyncDispose]: async () => note(`release ${input}`),
      };
    },
  });
  const handlers = [handler("even", (input) => input % 2 === 0), handler("small", (input) => input < 10)];
  return { kind: "number", handlers, describe: String };
}

Deno.test("prepareAll() gives each piece to the first handler that matches, which the log names", async () => {
  const events: string[] = [];
  const lines: Record<string, unknown>[] = [];
  const log = createLogger({ sink: (line) => lines.push(JSON.parse(line)), level: "debug" });
  await using made = await prepareAll(listed(events), [2, 3], { log });
  assert.deepEqual(made.all.map(({ name }) => name), ["even", "small"]);
  assert.deepEqual(events, ["prepare 2 by even", "prepare 3 by small"]);
  assert.deepEqual(lines.map(({ msg, handler, number }) => [msg, handler, number]), [
    ["Preparing a number", "even", "2"],
    ["Preparing a number", "small", "3"],
  ]);
});

Deno.test("prepareAll() releases what it has prepared when a later piece fails, or is of no kind", async () => {
  const events: string[] = [];
  await assert.rejects(prepareAll(listed(events, ["prepare 5 by small"]), [2, 4, 5, 6], {}), {
    message: "prepare 5 by small",
  });
  assert.deepEqual(events.slice(3), ["release 4", "release 2"]);
  await assert.rejects(prepareAll(listed([]), [11], {}), { message: 'Cannot use number "11": it is of no known kind' });
});

Deno.test("attachAll() takes out of the machine what it has attached when a later piece fails", async () => {
  const events: string[] = [];
  await using made = await prepareAll(listed(events, ["attach 4"]), [1, 2, 4], {});
  await assert.rejects(attachAll(made.all, NO_DISKS, { signal }), { message: "attach 4" });
  assert.deepEqual(events.slice(3), ["attach 1", "attach 2", "attach 4", "detach 2", "detach 1"]);
});

Deno.test("each piece is taken out of the machine and then from the host, whatever becomes of the others", async () => {
  const events: string[] = [];
  const fails = ["detach 4", "detach 2", "release 2"];
  await using stack = new AsyncDisposableStack();
  const made = stack.use(await prepareAll(listed(events, fails), [1, 2, 4], {}));
  stack.use(await attachAll(made.all, NO_DISKS, { signal }));
  await assert.rejects(stack.disposeAsync());
  assert.deepEqual(events.slice(6), ["detach 4", "detach 2", "detach 1", "release 4", "release 2", "release 1"]);
});
