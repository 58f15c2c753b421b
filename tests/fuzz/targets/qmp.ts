/** A monitor that says anything: each command ends, each wait ends. @module */
import { Qmp, type QmpWire } from "../../../src/hypervisor/qemu/qmp/qmp.ts";
import { cut, joinBytes, mutateBytes } from "../core/bytes.ts";
import { findFault } from "../core/faults.ts";
import type { Random } from "../core/random.ts";
import { defineTarget } from "../core/target.ts";
import { mutateText } from "../core/text.ts";
import { anyJson, type Json, mutateJson } from "../core/values.ts";

const GOOD: readonly Json[] = [
  { QMP: { version: { qemu: { major: 10, minor: 0 } }, capabilities: ["oob"] } },
  { return: {}, id: 1 },
  { return: { running: true, status: "running" }, id: 2 },
  { return: [{ "vcpus-count": 1, props: { "core-id": 0 } }], id: 3 },
  { error: { class: "GenericError", desc: "no" }, id: 2 },
  { event: "SHUTDOWN", data: { guest: true, reason: "guest-shutdown" }, timestamp: { seconds: 1, microseconds: 2 } },
  { event: "DEVICE_DELETED", data: { device: "d", path: "/machine/d" }, timestamp: {} },
];

export const qmp = defineTarget({
  name: "qmp",
  rounds: 1500,
  make: (random) => ({
    begins: !random.once(10),
    commands: random.few(5),
    pieces: cut(random, joinBytes(random.times(random.between(1, 12), () => anyLine(random)))),
  }),
  async run({ begins, commands, pieces }) {
    const first = begins ? [JSON.stringify(GOOD[0]), JSON.stringify(GOOD[1])].map((line) => encode(`${line}\n`)) : [];
    const wire = scriptedWire([...first, ...pieces]);
    const monitor = await Qmp.open(wire, new AbortController().signal);
    await using _closed = monitor;
    const events = monitor.events();
    const listening = (async () => {
      for await (const { event, data } of events) void `${event} ${JSON.stringify(data)}`;
    })();
    const waiting = monitor.waitFor(({ event }) => event === "NEVER", new AbortController().signal);
    const calls = Array.from({ length: commands }, () => monitor.execute("query-status"));
    const ends = await Promise.allSettled([listening, waiting, ...calls]);
    // All of them end with the connection, which is as it should be; how it is said is what counts.
    const refused = ends.filter((end) => end.status === "rejected").map(({ reason }) => reason);
    const fault = refused.find((reason) => findFault(reason) !== undefined);
    if (fault !== undefined) throw fault;
  },
});

/** Says its lines whatever is asked, and is gone then. */
function scriptedWire(pieces: readonly Uint8Array[]): QmpWire {
  return { input: ReadableStream.from(pieces), send: async () => {}, close: () => {} };
}

function encode(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

function anyLine(random: Random): Uint8Array {
  const good = random.pick(GOOD);
  switch (random.below(6)) {
    case 0:
      return encode(`${JSON.stringify(anyJson(random))}\n`);
    case 1:
      return encode(`${mutateText(random, JSON.stringify(good))}\r\n`);
    case 2:
      return mutateBytes(random, encode(`${JSON.stringify(good)}\n`));
    default:
      return encode(`${JSON.stringify(mutateJson(random, good))}\r\n`);
  }
}
