import assert from "node:assert/strict";
import { type Command, fakeQmp, GREETING } from "../testing/fake_qmp.ts";
import { Qmp, type QmpEvent, type QmpWire } from "./qmp.ts";

function open(wire: QmpWire): Promise<Qmp> {
  return Qmp.open(wire, AbortSignal.timeout(2_000));
}

Deno.test("Qmp.execute() returns the answer that carries its id, in any order", async () => {
  const held: Command[] = [];
  const wire = fakeQmp((command, say) => {
    held.push(command);
    if (held.length === 2) { for (const { id, execute } of held.reverse()) say({ return: { was: execute }, id }); }
  });
  await using qmp = await open(wire);
  const answers = await Promise.all([qmp.execute("query-status"), qmp.execute("query-kvm")]);
  assert.deepEqual(answers, [{ was: "query-status" }, { was: "query-kvm" }]);
});

Deno.test("Qmp.execute() rejects with QEMU's own class and words", async () => {
  await using qmp = await open(
    fakeQmp(({ id }, say) => say({ error: { class: "DeviceNotFound", desc: "Device 'x' not found" }, id })),
  );
  await assert.rejects(qmp.execute("device_del", { id: "x" }), {
    name: "QmpError",
    errorClass: "DeviceNotFound",
    message: "Device 'x' not found",
  });
});

Deno.test("Qmp.events() gives events from now on and ends with the connection", async () => {
  const wire = fakeQmp(() => {});
  const qmp = await open(wire);
  const events = qmp.events();
  wire.say({ event: "STOP", timestamp: {} });
  wire.say({ event: "DEVICE_DELETED", data: { device: "d" } });
  const seen: QmpEvent[] = [];
  for await (const event of events) {
    seen.push(event);
    if (seen.length === 2) wire.close();
  }
  assert.deepEqual(seen, [{ event: "STOP", data: {} }, { event: "DEVICE_DELETED", data: { device: "d" } }]);
  await qmp[Symbol.asyncDispose]();
});

Deno.test("Qmp.waitFor() takes the first event that matches", async () => {
  const wire = fakeQmp(() => {});
  await using qmp = await open(wire);
  const deleted = qmp.waitFor(({ data }) => data.device === "b", AbortSignal.timeout(2_000));
  wire.say({ event: "DEVICE_DELETED", data: { device: "a" } });
  wire.say({ event: "DEVICE_DELETED", data: { device: "b", path: "/x" } });
  assert.deepEqual((await deleted).data, { device: "b", path: "/x" });
});

Deno.test("Qmp fails calls and waits under way, and later ones, when the connection ends", async () => {
  const wire = fakeQmp((_, __) => wire.close());
  await using qmp = await open(wire);
  const waiting = qmp.waitFor(() => true, AbortSignal.timeout(2_000));
  const message = "QEMU closed the connection";
  await Promise.all([
    assert.rejects(qmp.execute("quit"), { message }),
    assert.rejects(waiting, { message }),
  ]);
  await assert.rejects(qmp.execute("query-status"), { message });
});

Deno.test("Qmp.execute() ends with its signal", async () => {
  await using qmp = await open(fakeQmp(() => {}));
  const reason = new Error("enough");
  const abort = new AbortController();
  const call = qmp.execute("query-status", {}, { signal: abort.signal });
  abort.abort(reason);
  await assert.rejects(call, reason);
});

Deno.test("Qmp.open() fails on what is no monitor", async () => {
  const input = ReadableStream.from([new TextEncoder().encode("hello\n")]);
  await assert.rejects(open({ input, send: async () => {}, close: () => {} }), SyntaxError);
});

Deno.test("Qmp reads messages however the stream cuts them", async () => {
  const bytes = new TextEncoder().encode(`${JSON.stringify(GREETING)}\r\n${JSON.stringify({ return: {}, id: 1 })}\r\n`);
  const cut = ReadableStream.from(Array.from(bytes, (_, at) => bytes.subarray(at, at + 1)));
  await using _qmp = await open({ input: cut, send: async () => {}, close: () => {} });
});

Deno.test.each(["null", "7", '"text"'])("F17: Qmp says what is wrong with the line %s", async (line) => {
  const wire = fakeQmp((_, say) => say(JSON.parse(line)));
  await using qmp = await open(wire);
  await assert.rejects(qmp.execute("query-status"), { message: "QEMU sent a line that is no object" });
});

Deno.test("F17: Qmp does not keep a line that has no end", async () => {
  const input = (async function* () {
    for (;;) yield new Uint8Array(1 << 20).fill(0x20);
  })();
  await assert.rejects(open({ input, send: async () => {}, close: () => {} }), /a line of more than/);
});

Deno.test("F17: Qmp takes an error whose words are objects, and leaves an answer whose id is one", async () => {
  const odd = { toString: 1, valueOf: 1 };
  const wire = fakeQmp(({ id }, say) => {
    say({ return: {}, id: odd });
    say({ error: { class: odd, desc: null }, id });
  });
  await using qmp = await open(wire);
  const errorClass = JSON.stringify(odd);
  await assert.rejects(qmp.execute("x"), { name: "QmpError", errorClass, message: "null" });
});
