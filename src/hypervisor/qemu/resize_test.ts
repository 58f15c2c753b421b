import assert from "node:assert/strict";
import { createLogger } from "../../base/log.ts";
import { type Command, fakeQmp } from "./testing/fake_qmp.ts";
import { Qmp } from "./qmp/qmp.ts";
import { QemuResize } from "./resize.ts";

const SOCKETS = [
  { type: "qemu64-x86_64-cpu", props: { "socket-id": 2 } },
  { type: "qemu64-x86_64-cpu", props: { "socket-id": 1 } },
  { type: "qemu64-x86_64-cpu", props: { "socket-id": 0 }, "qom-path": "/machine/unattached/device[0]" },
];

/** A VM of 1 vCPU and 512 MiB that may grow to 3 and 1024, over a monitor that records what it is told. */
async function box({ refuses = "" } = {}) {
  const commands: Command[] = [];
  const wire = fakeQmp((command, say) => {
    const { execute, id } = command;
    if (execute === "query-hotpluggable-cpus") return say({ return: SOCKETS, id });
    commands.push(command);
    if (execute === refuses) return say({ error: { class: "GenericError", desc: `no ${execute} today` }, id });
    say({ return: {}, id });
  });
  const qmp = await Qmp.open(wire, AbortSignal.timeout(2_000));
  const machine = { vcpus: { count: 1, max: 3 }, memory: { sizeMiB: 512, maxMiB: 1024, slots: 2 } };
  return {
    told: () => commands.map(({ execute, arguments: args }) => [execute, args]),
    resize: new QemuResize({ qmp, machine, log: createLogger({ sink: () => {} }) }),
    [Symbol.asyncDispose]: () => qmp[Symbol.asyncDispose](),
  };
}

Deno.test("QemuResize.vcpus() plugs free sockets in their order, and never unplugs", async () => {
  await using made = await box();
  assert.equal(await made.resize.vcpus(3), 3);
  assert.deepEqual(made.told(), [
    ["device_add", { driver: "qemu64-x86_64-cpu", id: "cpu-1", "socket-id": 1 }],
    ["device_add", { driver: "qemu64-x86_64-cpu", id: "cpu-2", "socket-id": 2 }],
  ]);
  assert.equal(await made.resize.vcpus(1), 3);
  await assert.rejects(made.resize.vcpus(4), {
    code: "RESOURCE_EXHAUSTED",
    message: /4 vCPUs: the most is 3; with static/,
  });
});

Deno.test("QemuResize.memory() adds whole blocks, in a bounded number of steps", async () => {
  await using made = await box();
  assert.equal(await made.resize.memory(500), 512);
  assert.equal(await made.resize.memory(513), 640);
  assert.deepEqual(made.told(), [
    ["object-add", { "qom-type": "memory-backend-memfd", id: "mem-0", size: 128 * 2 ** 20, share: true }],
    ["device_add", { driver: "pc-dimm", id: "dimm-0", memdev: "mem-0" }],
  ]);
  await assert.rejects(made.resize.memory(1025), {
    code: "RESOURCE_EXHAUSTED",
    message: /the most is 1024 MiB in 2 steps/,
  });
  assert.equal(await made.resize.memory(700), 768);
  await assert.rejects(made.resize.memory(800), { message: /of which 2 are taken/ });
  assert.deepEqual(made.resize.size, { vcpus: 1, memoryMiB: 768 });
});

Deno.test("QemuResize.memory() takes the back end away again when QEMU refuses the module", async () => {
  await using made = await box({ refuses: "device_add" });
  await assert.rejects(made.resize.memory(1024), { message: "no device_add today" });
  assert.deepEqual(made.told().map(([name]) => name), ["object-add", "device_add", "object-del"]);
  assert.equal(made.resize.size.memoryMiB, 512);
});
