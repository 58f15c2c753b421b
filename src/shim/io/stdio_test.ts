import assert from "node:assert/strict";
import { Fd, O_NONBLOCK, O_RDONLY, O_WRONLY } from "../../linux/io/fd.ts";
import { openStdio } from "./stdio.ts";

const CONTEXT = { containerId: "c1", namespace: "default" };
const NONE = { stdin: "", stdout: "", stderr: "" };

async function tempDir(...fifos: string[]): Promise<{ path: string } & Disposable> {
  const path = Deno.makeTempDirSync();
  if (fifos.length > 0) {
    await new Deno.Command("mkfifo", { args: fifos.map((name) => `${path}/${name}`) }).output();
  }
  return { path, [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }) };
}

function bytes(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

function never(): { signal: AbortSignal } {
  return { signal: new AbortController().signal };
}

Deno.test("openStdio() opens nothing that is not named", async () => {
  await using stdio = await openStdio(NONE, CONTEXT);
  assert.deepEqual([stdio.stdin, stdio.stdout, stdio.stderr], [undefined, undefined, undefined]);
});

Deno.test("openStdio() waits for no reader, and closing tells the reader the end (B52)", async () => {
  using dir = await tempDir("out");
  const stdio = await openStdio({ ...NONE, stdout: `${dir.path}/out` }, CONTEXT);
  using reader = Fd.open(`${dir.path}/out`, O_RDONLY | O_NONBLOCK);
  await stdio.stdout!.write(bytes("hello"), never());
  const buffer = new Uint8Array(16);
  assert.equal(reader.read(buffer), 5);
  assert.throws(() => reader.read(buffer), { code: "EAGAIN" });
  await stdio[Symbol.asyncDispose]();
  assert.equal(reader.read(buffer), 0);
});

Deno.test("FifoOutput.write() waits while the pipe is full, and the signal ends the wait", async () => {
  using dir = await tempDir("out");
  await using stdio = await openStdio({ ...NONE, stdout: `fifo://${dir.path}/out` }, CONTEXT);
  const abort = new AbortController();
  const written = stdio.stdout!.write(new Uint8Array(1 << 20), abort);
  abort.abort(new Error("enough"));
  await assert.rejects(written, { message: "enough" });
});

Deno.test("FifoInput ends when finish() was called and the last client is gone, not before", async () => {
  using dir = await tempDir("in");
  await using stdio = await openStdio({ ...NONE, stdin: `${dir.path}/in` }, CONTEXT);
  const buffer = new Uint8Array(16);
  const client = Fd.open(`${dir.path}/in`, O_WRONLY | O_NONBLOCK);
  client.writeAll(bytes("abc"));
  client[Symbol.dispose]();
  assert.equal(await stdio.stdin!.read(buffer, never()), 3);
  const second = Fd.open(`${dir.path}/in`, O_WRONLY | O_NONBLOCK);
  stdio.stdin!.finish();
  second.writeAll(bytes("de"));
  assert.equal(await stdio.stdin!.read(buffer, never()), 2);
  const end = stdio.stdin!.read(buffer, never());
  second[Symbol.dispose]();
  assert.equal(await end, 0);
});

Deno.test("openStdio() appends to a file:// URI", async () => {
  using dir = await tempDir();
  const name = `file://${dir.path}/my%20log`;
  Deno.writeTextFileSync(`${dir.path}/my log`, "before\n");
  {
    await using stdio = await openStdio({ ...NONE, stdout: name, stderr: name }, CONTEXT);
    await stdio.stdout!.write(bytes("out\n"), never());
    await stdio.stderr!.write(bytes("err\n"), never());
  }
  assert.equal(Deno.readTextFileSync(`${dir.path}/my log`), "before\nout\nerr\n");
});

Deno.test("openStdio() starts a binary:// logger with its arguments, environment and pipes, and awaits its end", async () => {
  using dir = await tempDir();
  const logger = `${dir.path}/logger`;
  const script = `#!/bin/sh
env | grep ^CONTAINER >${dir.path}/log
echo "$@" >>${dir.path}/log
exec 5>&-
cat <&3 >>${dir.path}/log
cat <&4 >>${dir.path}/log
`;
  Deno.writeTextFileSync(logger, script, { mode: 0o755 });
  const name = `binary://${logger}?--tag=x&--tag=ignored&--level=2`;
  {
    await using stdio = await openStdio({ ...NONE, stdout: name, stderr: name }, CONTEXT);
    await stdio.stdout!.write(bytes("out\n"), never());
    await stdio.stderr!.write(bytes("err\n"), never());
  }
  const lines = Deno.readTextFileSync(`${dir.path}/log`).trimEnd().split("\n");
  assert.deepEqual(lines.slice(0, 2).sort(), ["CONTAINER_ID=c1", "CONTAINER_NAMESPACE=default"]);
  assert.deepEqual(lines.slice(2), ["--tag x --level 2", "out", "err"]);
});

Deno.test.each([
  { name: "https://example.org/x", message: /neither a path nor a fifo/ },
  { name: "/no/such/fifo", message: /Cannot open stdout "\/no\/such\/fifo"/ },
  { name: "binary:///no/such/logger", message: /Cannot start logger "binary:\/\/\/no\/such\/logger"/ },
])("openStdio() refuses $name", async ({ name, message }) => {
  await assert.rejects(openStdio({ ...NONE, stdout: name }, CONTEXT), (error: Error) => {
    const text = `${error.message} ${error.cause instanceof Error ? error.cause.message : ""}`;
    assert.match(text, message);
    return true;
  });
});
