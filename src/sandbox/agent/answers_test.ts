import assert from "node:assert/strict";
import { create, type DescMessage, type DescMethod, type DescService, type MessageInitShape } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import fc from "fast-check";
import { errorChain, KataError } from "../../base/error.ts";
import { AgentService } from "../../proto/agent_pb.ts";
import { Connections } from "../../proto/connections_pb.ts";
import { Health } from "../../proto/health_pb.ts";
import { rpcError } from "../../rpc/ttrpc/errors.ts";
import { AGENT_ANSWERS, agentClients, CONNECTIONS_ANSWERS, HEALTH_ANSWERS } from "./answers.ts";

const TABLES: readonly [DescService, Readonly<Record<string, unknown>>][] = [
  [AgentService, AGENT_ANSWERS],
  [Health, HEALTH_ANSWERS],
  [Connections, CONNECTIONS_ANSWERS],
];

type Call = (request: object) => Promise<unknown>;

/** The clients of an agent that answers every call with this. */
function clientsOf(answer: (method: DescMethod) => unknown) {
  const transport = { unary: async (method: DescMethod) => ({ message: answer(method) }) };
  return agentClients(transport as unknown as Parameters<typeof agentClients>[0]);
}

function callsOf(answer: (method: DescMethod) => unknown): (method: DescMethod) => Call {
  const { api, health, connections } = clientsOf(answer);
  const all = { ...api, ...health, ...connections } as Record<string, Call>;
  return (method) => all[method.localName]!;
}

function answering<M extends DescMessage>(schema: M, init: MessageInitShape<M>) {
  return clientsOf(() => create(schema, init));
}

const { statsContainer, waitProcess, readStdout, writeStdin, getOOMEvent, getMetrics, listRoutes } =
  AgentService.method;

for (const [service, rows] of TABLES) {
  Deno.test(`the door has a row for each method of ${service.typeName}, and each takes an honest answer`, async () => {
    assert.deepEqual(Object.keys(rows).sort(), service.methods.map(({ localName }) => localName).sort());
    const call = callsOf(({ output }) => create(output, "containerId" in create(output) ? { containerId: "c1" } : {}));
    for (const method of service.methods) await call(method)({});
  });

  Deno.test(`no answer of ${service.typeName} gets through the door unbounded`, async () => {
    for (const method of service.methods.filter(({ output }) => output.fields.length > 0)) {
      const call = callsOf(({ output }) => overfull(output))(method);
      const taken = await call({}).catch((error) => {
        assert.equal(error.code, "INTERNAL");
        assert.match(error.message, new RegExp(`^Cannot take the agent's answer to ${method.name}$`));
        return undefined;
      });
      assert.ok(sizeOf(taken) < 64, `${method.name} let ${sizeOf(taken)} through`);
    }
  });
}

/** A message whose texts and lists are too long. */
function overfull(schema: DescMessage, depth = 0): Record<string, unknown> {
  const message = create(schema) as unknown as Record<string, unknown>;
  for (const field of schema.fields) {
    const value = message[field.localName];
    if (typeof value === "string") message[field.localName] = "x".repeat(2 << 20);
    if (value instanceof Uint8Array) message[field.localName] = new Uint8Array(2 << 20);
    if (Array.isArray(value)) message[field.localName] = Array(10_000).fill(0n);
    if (field.fieldKind === "message" && depth < 5) message[field.localName] = overfull(field.message, depth + 1);
  }
  return message;
}

function sizeOf(value: unknown): number {
  return JSON.stringify(value, (_key, each) => typeof each === "bigint" ? `${each}` : each)?.length ?? 0;
}

Deno.test("nothing but the door makes a client of the agent's services", async () => {
  const users: string[] = [];
  for (const folder of ["sandbox", "shim", "resources", "hypervisor", "cli", "rpc", "monitor"]) {
    const path = new URL(`../${folder}`, import.meta.url).pathname;
    for await (const file of sourcesBelow(path)) {
      const makesClient = /^(?! \*).*createClient\(\s*(AgentService|Health|Connections)\b/m.test(
        await Deno.readTextFile(file),
      );
      if (makesClient && !/_(test|bench)\.ts$/.test(file)) users.push(file);
    }
  }
  assert.deepEqual(users, []);
});

async function* sourcesBelow(path: string): AsyncGenerator<string> {
  try {
    for await (const { name, isDirectory } of Deno.readDir(path)) {
      if (isDirectory) yield* sourcesBelow(`${path}/${name}`);
      else if (name.endsWith(".ts")) yield `${path}/${name}`;
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

Deno.test.each([
  { code: Code.NotFound, is: "NOT_FOUND" },
  { code: Code.Unavailable, is: "UNAVAILABLE" },
  { code: Code.FailedPrecondition, is: "FAILED_PRECONDITION" },
  { code: Code.Unknown, is: "INTERNAL" },
])(
  "each method throws a KataError $is with the text and the causes of an error that has the code $code",
  async ({ code, is }) => {
    const cause = new Error("it broke");
    for (const [service] of TABLES) {
      const call = callsOf(() => {
        throw rpcError("Cannot do it", code, cause);
      });
      for (const method of service.methods) {
        await assert.rejects(call(method)({}), (error) => {
          assert.ok(error instanceof KataError, method.name);
          assert.deepEqual([error.code, errorChain(error)], [is, "Cannot do it: it broke"]);
          return true;
        });
      }
    }
  },
);

Deno.test("F8: waitProcess() gives 0 to 255 as they are, and 255 for any other status", async () => {
  const number = fc.oneof(fc.integer({ min: -300, max: 300 }), fc.integer());
  await fc.assert(fc.asyncProperty(number, async (status) => {
    const { api } = answering(waitProcess.output, { status });
    assert.deepEqual(await api.waitProcess({}), { status: status >= 0 && status < 256 ? status : 255 });
  }));
});

Deno.test.each([
  { containerId: "" },
  { containerId: "../c1" },
  { containerId: "a\nb" },
  { containerId: "c".repeat(3_500_000) },
])("F6: getOOMEvent() refuses an id that no container has", async ({ containerId }) => {
  const { api } = answering(getOOMEvent.output, { containerId });
  await assert.rejects(api.getOOMEvent({}), { code: "INTERNAL" });
});

Deno.test("readStdout(), readStderr() and Connections.read() refuse more than was asked for", async () => {
  const { api, connections } = answering(readStdout.output, { data: new Uint8Array(101) });
  for (const call of [api.readStdout({ len: 100 }), api.readStderr({ len: 100 }), connections.read({ length: 100 })]) {
    await assert.rejects(call, { cause: new RangeError("101 bytes, asked for were 100") });
  }
  assert.equal((await api.readStdout({ len: 101 })).data.length, 101);
});

Deno.test("writeStdin() refuses that more was taken than there was", async () => {
  const { api } = answering(writeStdin.output, { len: 11 });
  await assert.rejects(api.writeStdin({ data: new Uint8Array(10) }), { cause: new RangeError("11 bytes taken of 10") });
  assert.deepEqual(await api.writeStdin({ data: new Uint8Array(11) }), { len: 11 });
});

Deno.test("health.check() knows no other states than the protocol's", async () => {
  assert.deepEqual(await answering(Health.method.check.output, { status: 77 as never }).health.check({}), {
    status: 0,
  });
});

const entry = { major: 8n, op: "Read" };

Deno.test.each([
  { what: "1,024 devices", blkioStats: { ioTimeRecursive: Array(1024).fill(entry) }, taken: true },
  { what: "1,025 devices", blkioStats: { ioTimeRecursive: Array(1025).fill(entry) }, taken: false },
  { what: "the counters of 8,192 CPUs", cpuStats: { cpuUsage: { percpuUsage: Array(8192).fill(1n) } }, taken: true },
  { what: "the counters of 8,193 CPUs", cpuStats: { cpuUsage: { percpuUsage: Array(8193).fill(1n) } }, taken: false },
  { what: "a long operation", blkioStats: { ioTimeRecursive: [{ op: "x".repeat(5000) }] }, taken: false },
  { what: "1,025 sizes of pages", hugetlbStats: numbered(1025, {}), taken: false },
  { what: "1,025 memory counters", memoryStats: { stats: numbered(1025, 1n) }, taken: false },
  { what: "a counter of a long name", memoryStats: { stats: { ["x".repeat(5000)]: 1n } }, taken: false },
])("F7: statsContainer() with $what", async ({ taken, what: _, ...cgroupStats }) => {
  const { api } = answering(statsContainer.output, { cgroupStats } as never);
  const answer = await api.statsContainer({}).then(() => "taken", errorChain);
  assert.match(answer, taken ? /^taken$/ : /^Cannot take the agent's answer to StatsContainer: \d+ .*at most \d+ are/);
});

Deno.test("F7: statsContainer() gives what a container uses, however many interfaces it has made", async () => {
  const networkStats = Array(150_000).fill({ name: "dummy" });
  const cgroupStats = { pidsStats: { current: 7n } };
  const taken = await answering(statsContainer.output, { cgroupStats, networkStats }).api.statsContainer({});
  assert.equal(taken.cgroupStats?.pidsStats?.current, 7n);
  assert.deepEqual(taken.networkStats, []);
});

function numbered<T>(count: number, value: T): Record<string, T> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, value]));
}

Deno.test("what the agent adds to an answer that we do not know does not get through the door", async () => {
  const unknown = [{ no: 999, wireType: 2, data: new Uint8Array(3 << 20) }];
  const message = create(statsContainer.output, { cgroupStats: {} });
  message.$unknown = message.cgroupStats!.$unknown = unknown;
  const taken = await clientsOf(() => message).api.statsContainer({});
  assert.deepEqual([taken.$unknown, taken.cgroupStats?.$unknown], [undefined, undefined]);
});

Deno.test("texts of metrics may be long, lists of routes may not", async () => {
  const metrics = "x".repeat(1 << 20);
  assert.equal((await answering(getMetrics.output, { metrics }).api.getMetrics({})).metrics, metrics);
  await assert.rejects(answering(getMetrics.output, { metrics: `${metrics}x` }).api.getMetrics({}));
  await assert.rejects(answering(listRoutes.output, { Routes: Array(1025).fill({}) }).api.listRoutes({}));
});
