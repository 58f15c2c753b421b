import assert from "node:assert/strict";
import { createLogger } from "../../base/log.ts";
import { Process, type ProcessOptions } from "./process.ts";

/** An agent whose process has written all it will, and has ended. */
function agentOf(output: readonly string[]): ProcessOptions["agent"] {
  const data = output.map((text) => new TextEncoder().encode(text));
  const unused = () => Promise.reject(new Error("nobody asks for this"));
  return {
    processes: { forgetsEnded: false, exec: unused, signal: unused, resize: unused, wait: () => Promise.resolve(3) },
    streams: { write: unused, finish: unused, read: () => Promise.resolve(data.shift() ?? new Uint8Array()) },
  };
}

Deno.test("Process has ended when it did, however long its reader takes for the last output", async () => {
  const { promise: written, resolve: take } = Promise.withResolvers<void>();
  const { promise: taken, resolve: arrived } = Promise.withResolvers<void>();
  const stdout = {
    write: () => {
      arrived();
      return written;
    },
    [Symbol.dispose]() {},
  };
  await using process = new Process({
    containerId: "c1",
    execId: "",
    terminal: true,
    stdio: { names: { stdin: "", stdout: "", stderr: "" }, stdout, [Symbol.asyncDispose]: () => Promise.resolve() },
    agent: agentOf(["last words"]),
    log: createLogger({ level: "error", sink: () => {} }),
    launch: () => Promise.resolve(),
  });
  await process.start();
  await taken;
  await Promise.resolve();
  const ended = Date.now();
  while (Date.now() === ended) await new Promise((resolve) => setTimeout(resolve, 1));
  take();
  const { status, at } = await process.exited;
  assert.equal(status, 3);
  assert.ok(at.getTime() <= ended, `${at.getTime() - ended} ms after its end`);
});

Deno.test("wire W3: Process reads to the end before it waits, if the agent forgets what has ended", async () => {
  const calls: string[] = [];
  const data = ["one", "two"].map((text) => new TextEncoder().encode(text));
  const unused = () => Promise.reject(new Error("nobody asks for this"));
  const wait = () => {
    calls.push("wait");
    return Promise.resolve(0);
  };
  const read = async () => {
    const piece = data.shift() ?? new Uint8Array();
    await new Promise((resolve) => setTimeout(resolve, 5));
    calls.push(`read ${piece.length}`);
    return piece;
  };
  await using process = new Process({
    containerId: "c1",
    execId: "",
    terminal: true,
    stdio: { names: { stdin: "", stdout: "", stderr: "" }, [Symbol.asyncDispose]: () => Promise.resolve() },
    agent: {
      processes: { forgetsEnded: true, exec: unused, signal: unused, resize: unused, wait },
      streams: { write: unused, finish: unused, read },
    },
    log: createLogger({ level: "error", sink: () => {} }),
    launch: () => Promise.resolve(),
  });
  await process.start();
  await process.exited;
  assert.deepEqual(calls, ["read 3", "read 3", "read 0", "wait"]);
});
