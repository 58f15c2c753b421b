/** An end of a pipe lives as long as its use: what a process no longer reads or writes is closed, so that nobody waits. */
import assert from "node:assert/strict";
import { abortable } from "../../base/async.ts";
import { KataError } from "../../base/error.ts";
import { createLogger } from "../../base/log.ts";
import { Process, type ProcessOptions } from "./process.ts";
import type { InputStream, OutputStream } from "./stdio.ts";

/** A stream that says when it is closed. */
interface Watched {
  closed: Promise<void>;
}

/** Has as much as is asked for, for ever; or, if `silent`, nothing. */
function input({ silent = false } = {}): InputStream & Watched {
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  return {
    closed,
    read: (buffer, { signal }) => {
      if (!silent) return Promise.resolve(buffer.length);
      return untilAborted(signal);
    },
    finish() {},
    [Symbol.dispose]: resolve,
  };
}

async function untilAborted(signal: AbortSignal): Promise<never> {
  return await abortable(new Promise<never>(() => {}), signal);
}

function output(): OutputStream & Watched {
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  return { closed, write: () => Promise.resolve(), [Symbol.dispose]: resolve };
}

interface Life extends Partial<ProcessOptions["agent"]["streams"]> {
  stdin: InputStream & Watched;
  execId?: string;
  /** Resolves at its end; absent: it lives on. */
  wait?: Promise<number>;
  launch?: () => Promise<void>;
}

function processOf({ stdin, execId = "e1", wait, launch = () => Promise.resolve(), ...streams }: Life) {
  const never = new Promise<never>(() => {});
  const aborted = (_: unknown, { signal }: { signal?: AbortSignal }) => untilAborted(signal!);
  const [stdout, stderr] = [output(), output()];
  const unused = () => Promise.reject(new Error("nobody asks for this"));
  const process = new Process({
    containerId: "c1",
    execId,
    terminal: false,
    stdio: {
      names: { stdin: "", stdout: "", stderr: "" },
      stdin,
      stdout,
      stderr,
      // deno-lint-ignore require-await
      async [Symbol.asyncDispose]() {
        for (const stream of [stdin, stdout, stderr]) stream[Symbol.dispose]();
      },
    },
    agent: {
      processes: { forgetsEnded: false, exec: unused, signal: unused, resize: unused, wait: () => wait ?? never },
      streams: {
        read: aborted,
        write: (_id, data, options) => aborted(data, options ?? {}),
        finish: unused,
        ...streams,
      },
    },
    log: createLogger({ level: "error", sink: () => {} }),
    launch,
  });
  return { process, stdout, stderr };
}

Deno.test("pods A6: Process closes the input that its process takes no more of: who writes it waited until the removal", async () => {
  const stdin = input();
  const write = () => Promise.reject(new KataError("FAILED_PRECONDITION", "standard input is closed"));
  const { process } = processOf({ stdin, write });
  await process.start();
  await stdin.closed;
  assert.equal(process.status, "running");
});

Deno.test("pods A6: Process closes its input at its end, also where nobody says that it takes no more", async () => {
  const silent = input({ silent: true });
  const pending = input();
  for (const stdin of [silent, pending]) {
    const { process } = processOf({ stdin, wait: Promise.resolve(3), read: () => Promise.resolve(new Uint8Array()) });
    await process.start();
    assert.equal((await process.exited).status, 3);
    await stdin.closed;
  }
});

Deno.test("pods A6: Process closes an input at whose end it has told its process", async () => {
  const stdin = { ...input(), read: () => Promise.resolve(0) };
  const { process } = processOf({ stdin, finish: () => Promise.resolve() });
  await process.start();
  await stdin.closed;
});

for (const execId of ["e1", ""]) {
  Deno.test(`pods B6: Process that could not be launched has ended, all its streams too (exec id "${execId}")`, async () => {
    const stdin = input({ silent: true });
    const { process, stdout, stderr } = processOf({
      stdin,
      execId,
      launch: () => Promise.reject(new KataError("NOT_FOUND", "no such program")),
    });
    await assert.rejects(process.start(), { code: "NOT_FOUND" });
    await Promise.all([stdin, stdout, stderr].map(({ closed }) => closed));
    assert.equal((await process.exited).status, 255);
    assert.equal(process.status, "stopped");
  });
}
