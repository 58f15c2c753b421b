/** Requests that the calls of each group make of the agent. */
import assert from "node:assert/strict";
import { create, type DescMethodUnary, type MessageInitShape } from "@bufbuild/protobuf";
import { AgentConnection } from "./client.ts";

/** A transport that answers with empty messages, or as said, and notes what was asked. */
function recorded(answer: object = {}) {
  const calls: [name: string, request: Record<string, unknown>][] = [];
  const transport: ConstructorParameters<typeof AgentConnection>[0] = {
    closed: Promise.resolve(),
    // deno-lint-ignore require-await
    async unary(method: DescMethodUnary, _signal: unknown, _timeoutMs: unknown, _header: unknown, request: unknown) {
      calls.push([method.name, request as Record<string, unknown>]);
      return { message: create(method.output, answer as MessageInitShape<typeof method.output>) } as never;
    },
    [Symbol.dispose]() {},
  };
  return { agent: new AgentConnection(transport), calls };
}

const ID = { containerId: "c1", execId: "e1" };

Deno.test.each<{ call: string; make: (agent: AgentConnection) => Promise<unknown>; request: object }>([
  { call: "StartContainer", make: ({ containers }) => containers.start("c1"), request: { containerId: "c1" } },
  { call: "PauseContainer", make: ({ containers }) => containers.pause("c1"), request: { containerId: "c1" } },
  { call: "ResumeContainer", make: ({ containers }) => containers.resume("c1"), request: { containerId: "c1" } },
  { call: "StatsContainer", make: ({ containers }) => containers.stats("c1"), request: { containerId: "c1" } },
  {
    call: "RemoveContainer",
    make: ({ containers }) => containers.remove("c1"),
    request: { containerId: "c1", timeout: 0 },
  },
  { call: "SignalProcess", make: ({ processes }) => processes.signal(ID, 9), request: { ...ID, signal: 9 } },
  { call: "WaitProcess", make: ({ processes }) => processes.wait(ID), request: ID },
  {
    call: "TtyWinResize",
    make: ({ processes }) => processes.resize(ID, { columns: 80, rows: 25 }),
    request: { ...ID, row: 25, column: 80 },
  },
  {
    call: "ReadStdout",
    make: ({ streams }) => streams.read(ID, { from: "stdout", length: 5 }),
    request: { ...ID, len: 5 },
  },
  {
    call: "ReadStderr",
    make: ({ streams }) => streams.read(ID, { from: "stderr", length: 5 }),
    request: { ...ID, len: 5 },
  },
  {
    call: "WriteStdin",
    make: ({ streams }) => streams.write(ID, new Uint8Array(3)),
    request: { ...ID, data: new Uint8Array(3) },
  },
  { call: "CloseStdin", make: ({ streams }) => streams.finish(ID), request: ID },
  {
    call: "UpdateRoutes",
    make: ({ network }) => network.setRoutes([], [new Uint8Array(1)]),
    request: { routes: { Routes: [], rules: [new Uint8Array(1)] } },
  },
  {
    call: "AddARPNeighbors",
    make: ({ network }) => network.addNeighbors([]),
    request: { neighbors: { ARPNeighbors: [] } },
  },
  {
    call: "RemoveNetwork",
    make: ({ network }) => network.remove({ cards: ["02:00:00:00:00:01"], interfaces: [], routes: [], rules: [] }),
    request: { cards: ["02:00:00:00:00:01"], interfaces: [], routes: [], rules: [] },
  },
  { call: "Listen", make: ({ resolver }) => resolver.listen("127.0.0.11"), request: { address: "127.0.0.11" } },
  { call: "Next", make: ({ resolver }) => resolver.next({}), request: {} },
  {
    call: "Answer",
    make: ({ resolver }) => resolver.answer(7, new Uint8Array(3)),
    request: { id: 7, message: new Uint8Array(3) },
  },
  { call: "DestroySandbox", make: ({ machine }) => machine.destroy(), request: { keepGuest: false } },
  {
    call: "SetGuestDateTime",
    make: ({ machine }) => machine.setClock(1_700_000_000_250),
    request: { Sec: 1_700_000_000n, Usec: 250_000n },
  },
  {
    call: "OnlineCPUMem",
    make: ({ machine }) => machine.online({ vcpus: 2, memory: false }),
    request: { wait: true, nbCpus: 2, cpuOnly: true },
  },
  { call: "Check", make: ({ machine }) => machine.check(), request: {} },
  { call: "Open", make: ({ ports }) => ports.open(80), request: { port: 80 } },
  { call: "Read", make: ({ ports }) => ports.read(1, { length: 5 }), request: { id: 1, length: 5 } },
  {
    call: "Write",
    make: ({ ports }) => ports.write(1, new Uint8Array(2)),
    request: { id: 1, data: new Uint8Array(2) },
  },
  { call: "Finish", make: ({ ports }) => ports.finish(1), request: { id: 1 } },
  { call: "Close", make: ({ ports }) => ports.close(1), request: { id: 1 } },
])("AgentConnection makes the call $call", async ({ call, make, request }) => {
  const { agent, calls } = recorded();
  await make(agent);
  assert.deepEqual(calls, [[call, request]]);
});

Deno.test("containers.create() says which fields of the specification the agent was not told", async () => {
  const { agent, calls } = recorded();
  const linux = { intelRdt: { closID: "c" } };
  const spec = { ociVersion: "1.2.0", hostname: "h", linux };
  const lost = await agent.containers.create({ id: "c1", spec, storages: [], pidNamespace: { kind: "pod" } });
  assert.deepEqual(lost, ["linux.intelRdt.closID: the cache is the host's"]);
  const [[name, { containerId, execId, sandboxPidns, OCI }]] = calls as [
    [string, Record<string, { Hostname: string }>],
  ];
  assert.deepEqual([name, containerId, execId, sandboxPidns], ["CreateContainer", "c1", "c1", true]);
  assert.equal(OCI!.Hostname, "h");
});

Deno.test("processes.wait() and streams.write() give the numbers that the agent says", async () => {
  assert.equal(await recorded({ status: 7 }).agent.processes.wait(ID), 7);
  assert.equal(await recorded({ len: 2 }).agent.streams.write(ID, new Uint8Array(3)), 2);
});
