import assert from "node:assert/strict";
import { Timers } from "./timers.ts";

const once = { repeat: false };

/** Until the runtime's own clock has gone on by `ms`: what is tested may not measure itself. */
async function wait(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

Deno.test("Timers.set() runs each once, in the order in which they are due", async () => {
  const timers = new Timers();
  const order: string[] = [];
  timers.set(() => order.push("late"), 40, once);
  timers.set(() => order.push("early"), 5, once);
  timers.set(() => order.push("middle"), 20, once);
  await wait(15);
  assert.deepEqual(order, ["early"]);
  await wait(60);
  assert.deepEqual(order, ["early", "middle", "late"]);
});

Deno.test("Timers.clear() keeps a timer from running, even one that is due together with its canceller", async () => {
  const timers = new Timers();
  const ran: string[] = [];
  const second = timers.set(() => ran.push("second"), 30, once);
  timers.set(() => timers.clear(second), 5, once);
  timers.set(() => ran.push("third"), 31, once);
  timers.clear(undefined);
  await wait(60);
  assert.deepEqual(ran, ["third"]);
});

Deno.test("Timers.set() with repeat runs until it is cleared", async () => {
  const timers = new Timers();
  const cleared = Promise.withResolvers<void>();
  let runs = 0;
  const id = timers.set(
    () => {
      if (++runs < 3) return;
      timers.clear(id);
      cleared.resolve();
    },
    5,
    { repeat: true },
  );
  await cleared.promise;
  await wait(30);
  assert.equal(runs, 3);
});

Deno.test("Timers.set() from within a timer is kept", async () => {
  const timers = new Timers();
  const done = Promise.withResolvers<void>();
  timers.set(() => timers.set(done.resolve, 5, once), 5, once);
  await done.promise;
});

Deno.test("installTimers() gives a setImmediate that runs in order, after what promises set off", async () => {
  const program = `import { installTimers } from "${import.meta.resolve("./timers.ts")}"; installTimers();
    const said = []; setImmediate(() => said.push(2)); setImmediate(() => { console.log(said.join()); Deno.exit(0); });
    Promise.resolve().then(() => said.push(1));`;
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["eval", "--quiet", program] }).output();
  assert.equal(new TextDecoder().decode(stdout), "1,2\n");
});
