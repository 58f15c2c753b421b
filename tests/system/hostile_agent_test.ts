/** Answers of a guest are checked once: the shim's real process against an agent that lies. Needs root. */
import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { TaskExitSchema, TaskOOMSchema } from "../../src/proto/events_pb.ts";
import { StatusSchema } from "../../src/proto/rpc_status_pb.ts";
import { FRAME_TYPE } from "../../src/rpc/ttrpc/frame.ts";
import { encodeStatus } from "../../src/rpc/ttrpc/envelope.ts";
import { HostileShim, pause } from "./hostile_shim.ts";

/** A shim's process has 60 to 90 MiB; what one answer of 4 MiB costs comes on top. */
const MOST_MIB = 250;
const MANY = 150_000;

Deno.test("F6: OOM events for other sandboxes' containers are dropped, and told of in the log once", async () => {
  await using shim = await HostileShim.start({
    agent: { getOOMEvent: async () => (await pause(0), { containerId: "somebody-elses-container" }) },
  });
  await shim.run(["sleep"]);
  await shim.heard("/tasks/start");
  await pause(2_000);
  await shim.tasks.kill({ id: "c1", signal: 9 });
  await shim.heard("/tasks/exit");
  assert.equal(shim.topics.filter((topic) => topic === "/tasks/oom").length, 0);
  assert.equal(shim.logLines.filter((line) => line.includes("somebody-elses-container")).length, 1);
});

Deno.test("F6: a flood of OOM events does not keep an exit from a slow containerd", async () => {
  await using shim = await HostileShim.start({
    agent: { getOOMEvent: async () => (await pause(0), { containerId: "c1" }) },
    eventMs: 500,
  });
  await shim.run(["sleep"]);
  await shim.heard("/tasks/start");
  await pause(5_000);
  await shim.tasks.kill({ id: "c1", signal: 9 });
  await shim.heard("/tasks/exit", 4_000);
  const events = shim.events.flatMap((event) => anyUnpack(event, TaskOOMSchema) ?? []);
  assert.ok(events.length > 0 && events.length <= 10, `${events.length} OOM events in about 6 s`);
  assert.ok(shim.logLines.length < 200, `${shim.logLines.length} lines of log`);
});

Deno.test("F6: ids of OOM events of 3.5 MB do not make the shim grow", async () => {
  const containerId = "c".repeat(3_500_000);
  await using shim = await HostileShim.start({ agent: { getOOMEvent: () => ({ containerId }) }, eventMs: 100 });
  await shim.run(["sleep"]);
  await pause(8_000);
  await shim.tasks.kill({ id: "c1", signal: 9 });
  assert.ok(shim.peakMiB() < MOST_MIB, `${shim.peakMiB()} MiB`);
  await shim.heard("/tasks/exit", 4_000);
});

Deno.test("F7: statistics of 150,000 devices are refused, and other calls are answered meanwhile", async () => {
  const entries = Array.from({ length: MANY }, (_, minor) => ({ major: 8n, minor: BigInt(minor), op: "Read" }));
  await using shim = await HostileShim.start({
    agent: { statsContainer: () => ({ cgroupStats: { blkioStats: { ioServiceBytesRecursive: entries } } }) },
  });
  await shim.run(["sleep"]);
  const stats = shim.tasks.stats({ id: "c1" }, { timeoutMs: 15_000 }).then(() => undefined, ConnectError.from);
  await shim.tasks.state({ id: "c1" }, { timeoutMs: 15_000 });
  assert.match((await stats)?.message ?? "answered", /StatsContainer.*150000.*at most 1024/);
  assert.ok(shim.peakMiB() < MOST_MIB, `${shim.peakMiB()} MiB`);
});

for (const status of [-1, -(2 ** 31), 256, 2 ** 31 - 1]) {
  Deno.test(`F8: an exit status of ${status} is 255 in the event and in every answer`, async () => {
    await using shim = await HostileShim.start({ agent: { waitProcess: () => ({ status }) } });
    await shim.run(["exit", "0"]);
    await shim.heard("/tasks/exit");
    const [exit] = shim.events.flatMap((event) => anyUnpack(event, TaskExitSchema) ?? []);
    assert.equal(exit?.exitStatus, 255);
    assert.equal((await shim.tasks.wait({ id: "c1" })).exitStatus, 255);
    assert.equal((await shim.tasks.state({ id: "c1" })).exitStatus, 255);
    assert.equal((await shim.tasks.delete({ id: "c1" })).exitStatus, 255);
  });
}

Deno.test("F9: an error text of nearly 4 MiB is answered, cut to 4 KiB", async () => {
  const message = "x".repeat(4_194_284);
  const failure = encodeStatus(create(StatusSchema, { code: Code.Internal, message }));
  await using shim = await HostileShim.start({
    agent: ({ method }) => method === "CreateContainer" ? failure : new Uint8Array(),
  });
  const answer = await shim.create(["sleep"], { timeoutMs: 15_000 }).then(() => undefined, ConnectError.from);
  assert.notEqual(answer?.code, Code.DeadlineExceeded);
  const { length } = new TextEncoder().encode(answer?.rawMessage);
  assert.ok(length > 1_000 && length <= 4_096, `${length} bytes`);
});

for (const cpus of ["9999999999999999999", "0-4000000000", "0-4294967295,1-2", "8192", "3-1", "0x10", "1e3"]) {
  Deno.test(`F13: a cpuset of "${cpus}" is refused by name`, async () => {
    await using shim = await HostileShim.start({ agent: {} });
    const failure = await shim.create(["sleep"], { cpus, timeoutMs: 15_000 }).then(() => undefined, ConnectError.from);
    assert.equal(failure?.code, Code.InvalidArgument);
    assert.ok(failure.message.includes(cpus), failure.message);
  });
}

Deno.test("F17: a log that nobody reads stops nothing and takes no memory", async () => {
  await using shim = await HostileShim.start({
    agent: {
      getOOMEvent: () => ({ containerId: "../x" }),
      readStdout: () => {
        throw new ConnectError("x".repeat(4000), Code.Internal);
      },
    },
    logReader: "none",
  });
  await shim.run(["sleep"]);
  // Each says that its output cannot be copied, in 4 KiB: more than the fifo holds.
  for (let exec = 0; exec < 40; exec++) await shim.exec(`e${exec}`);
  await shim.tasks.state({ id: "c1" }, { timeoutMs: 5_000 });
  await shim.tasks.kill({ id: "c1", signal: 9 });
  await shim.heard("/tasks/exit");
  assert.ok(shim.peakMiB() < MOST_MIB, `${shim.peakMiB()} MiB`);
});

Deno.test("F17: 400 MiB of answers that nobody asked for leave no trace, and calls are answered meanwhile", async () => {
  const unasked = new Uint8Array(4 << 20);
  const flooding = Promise.withResolvers<void>();
  await using shim = await HostileShim.start({
    agent: (request, channel) => {
      if (request.method !== "GetOOMEvent") return new Uint8Array();
      void (async () => {
        for (let frame = 0; frame < 100; frame++) {
          channel.send(2 * frame + 1_000_001, { type: FRAME_TYPE.response, flags: 0 }, unasked);
          await channel.room();
        }
        flooding.resolve();
      })();
      return undefined;
    },
  });
  await shim.create(["sleep"]);
  await shim.tasks.state({ id: "c1" }, { timeoutMs: 5_000 });
  await flooding.promise;
  await shim.tasks.state({ id: "c1" }, { timeoutMs: 5_000 });
  assert.ok(shim.peakMiB() < MOST_MIB, `${shim.peakMiB()} MiB`);
});

Deno.test("output that is more than was asked for ends the copying, not the container", async () => {
  await using shim = await HostileShim.start({ agent: { readStdout: () => ({ data: new Uint8Array(3 << 20) }) } });
  await shim.run(["sleep"]);
  await pause(500);
  assert.equal((await shim.tasks.state({ id: "c1" })).status, 2);
  assert.ok(shim.logLines.some((line) => line.includes("3145728 bytes, asked for were 262144")));
});
