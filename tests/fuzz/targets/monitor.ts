/** A monitor that a guest has taken over: each call of those who speak to it ends, and nothing is kept of it. @module */
import { cpuThreads } from "../../../src/hypervisor/qemu/qmp/answers.ts";
import { createLogger } from "../../../src/base/log.ts";
import { defaultConfig } from "../../../src/config/schema.ts";
import type { BlockDevice, Device } from "../../../src/hypervisor/device.ts";
import { type Command, fakeQmp } from "../../../src/hypervisor/qemu/testing/fake_qmp.ts";
import { QemuHotplug } from "../../../src/hypervisor/qemu/hotplug.ts";
import { loadState, saveState } from "../../../src/hypervisor/qemu/qmp/migrate.ts";
import { Qmp } from "../../../src/hypervisor/qemu/qmp/qmp.ts";
import { QemuResize } from "../../../src/hypervisor/qemu/resize.ts";
import { PcieTopology } from "../../../src/hypervisor/common/topology.ts";
import { memfd } from "../../../src/linux/io/fd.ts";
import { findFault } from "../core/faults.ts";
import type { Random } from "../core/random.ts";
import { defineTarget, hold } from "../core/target.ts";
import { anyText } from "../core/text.ts";
import { anyJson, type Json, mutateJson } from "../core/values.ts";

const log = createLogger({ sink: () => {} });
const MACHINE = { vcpus: { count: 1, max: 4 }, memory: { sizeMiB: 512, maxMiB: 2048, slots: 3 } };
const PORTS = 2;
/** For a monitor that says nothing any more. */
const SILENCE_MS = 50;

const SOCKET = { type: "qemu64-x86_64-cpu", props: { "socket-id": 1 } };
const GOOD: Readonly<Record<string, Json>> = {
  "add-fd": { "fdset-id": 7, fd: 42 },
  "query-hotpluggable-cpus": [SOCKET, { ...SOCKET, "qom-path": "/machine/unattached/device[0]" }],
  "query-cpus-fast": [{ "cpu-index": 0, "thread-id": 77, "qom-path": "/machine/x" }],
};
const EVENTS: readonly Json[] = [
  { event: "DEVICE_DELETED", data: { device: "d0", path: "/machine/d0" } },
  { event: "DEVICE_DELETED", data: { device: "d1" } },
  { event: "MIGRATION", data: { status: "completed" } },
  { event: "MIGRATION", data: { status: "failed" } },
  { event: "SHUTDOWN", data: { guest: true, reason: "guest-shutdown" } },
];

/** Fate of one command. */
interface Answer {
  kind: "good" | "changed" | "any" | "refusal" | "silence" | "end";
  value: Json;
  events: Json[];
  /** Whether the event comes that the command is waited for with. */
  isFollowed: boolean;
}

const KINDS = [
  "changed",
  "changed",
  "changed",
  "changed",
  "any",
  "any",
  "refusal",
  "refusal",
  "silence",
  "end",
] as const;

function anyAnswer(random: Random): Answer {
  const events = random.times(random.few(3), () => {
    const event = random.pick(EVENTS);
    return random.once(3) ? mutateJson(random, event) : event;
  });
  const kind = random.once(3) ? random.pick(KINDS) : "good";
  const changed = mutateJson(random, GOOD[random.pick(Object.keys(GOOD))]!);
  return {
    kind,
    value: kind === "any" ? anyJson(random) : kind === "refusal" ? anyText(random) : changed,
    events,
    isFollowed: !random.once(12),
  };
}

const DEEDS = ["block", "net", "shareFs", "unplug", "vcpus", "memory", "save", "load", "threads"] as const;

export const monitorUsers = defineTarget({
  name: "monitor-users",
  rounds: 150,
  make: (random) => ({
    deeds: random.times(random.between(1, 5), () => ({ deed: random.pick(DEEDS), number: random.integer() })),
    answers: random.times(random.between(1, 16), () => anyAnswer(random)),
  }),
  async run({ deeds, answers }) {
    const script = answers.values();
    const wire = fakeQmp((command, say) => answer(command, { say, script, end: () => void wire.close() }));
    await using qmp = await Qmp.open(wire, new AbortController().signal);
    const bus = new PcieTopology();
    for (let port = 0; port < PORTS; port++) bus.addPort();
    const hotplug = new QemuHotplug({
      qmp,
      bus,
      config: {
        ...defaultConfig().hypervisor,
        block_device_driver: deeds[0]!.number % 2 === 0 ? "virtio-scsi" : "virtio-blk-pci",
      },
      runDir: "/nothing",
      log,
      isHostDevice: () => false,
      open: { disk: ({ path }: BlockDevice) => memfd(path), share: () => memfd("share") },
    });
    const resize = new QemuResize({ qmp, machine: MACHINE, log });
    const errors: unknown[] = [];
    for (const [at, { deed, number }] of deeds.entries()) {
      try {
        await DO[deed]({ qmp, hotplug, resize, number, id: `d${at % 3}` });
      } catch (error) {
        errors.push(error);
      }
    }
    const { vcpus, memoryMiB } = resize.size;
    hold(vcpus <= MACHINE.vcpus.max && memoryMiB <= MACHINE.memory.maxMiB, "a VM grows no further than its limits");
    hold(bus.ports.filter(({ device }) => device !== undefined).length <= deeds.length, "ports are taken by devices");
    for (const { device } of bus.ports) {
      hold(device === undefined || hotplug.address(device) !== undefined, "a port that is taken has a device");
    }
    const fault = errors.find((error) => findFault(error) !== undefined);
    if (fault !== undefined || errors.length === deeds.length) throw fault ?? errors[0];
  },
});

interface Script {
  say(message: unknown): void;
  script: Iterator<Answer>;
  end(): void;
}

/** When the script is at its end, the monitor is gone. */
function answer({ execute, arguments: args, id }: Command, { say, script, end }: Script): void {
  const next = script.next();
  if (next.done === true) return end();
  const { kind, value, events, isFollowed } = next.value;
  for (const event of events) say(event);
  if (kind === "end") return end();
  if (kind === "refusal") say({ error: { class: "GenericError", desc: value }, id });
  else if (kind !== "silence") say({ return: kind === "good" ? GOOD[execute] ?? {} : value, id });
  const event = FOLLOWED[execute]?.(args);
  if (event !== undefined && isFollowed) say(event);
  // Silence is the monitor's end where nobody sets a limit.
  if (kind === "silence" || (event !== undefined && !isFollowed)) setTimeout(end, SILENCE_MS);
}

const FOLLOWED: Readonly<Record<string, (args: Command["arguments"]) => Json>> = {
  device_del: ({ id }) => ({ event: "DEVICE_DELETED", data: { device: String(id) } }),
  migrate: () => EVENTS[2]!,
  "migrate-incoming": () => EVENTS[2]!,
};

interface Deed {
  qmp: Qmp;
  hotplug: QemuHotplug;
  resize: QemuResize;
  number: number;
  id: string;
}

const DO: Readonly<Record<typeof DEEDS[number], (deed: Deed) => unknown>> = {
  block: ({ hotplug, id }) => plug(hotplug, { kind: "block", id, path: "/d", readOnly: true }),
  net: ({ hotplug, id }) =>
    plug(hotplug, { kind: "net", id, mac: "02:00:00:00:00:01", tapFds: [memfd("tap")], vhostFds: [memfd("vhost")] }),
  shareFs: ({ hotplug, id }) => plug(hotplug, { kind: "shareFs", id, tag: "t", source: "/s" }),
  unplug: ({ hotplug, id }) => hotplug.unplug(id, soon()),
  vcpus: ({ resize, number }) => resize.vcpus(Math.abs(number) % 6),
  memory: ({ resize, number }) => resize.memory(Math.abs(number) % 4096),
  save: ({ qmp }) => withState((state) => saveState(qmp, state)),
  load: ({ qmp }) => withState((state) => loadState(qmp, state, soon())),
  threads: async ({ qmp }) => {
    const threads = cpuThreads(await qmp.execute("query-cpus-fast"), Deno.pid);
    hold(threads.every((thread) => Number.isSafeInteger(thread)), "threads are numbers");
  },
};

function plug(hotplug: QemuHotplug, device: Device): Promise<unknown> {
  return hotplug.plug(device, soon());
}

async function withState(use: (state: ReturnType<typeof memfd>) => Promise<void>): Promise<void> {
  using state = memfd("state");
  await use(state);
}

function soon(): AbortSignal {
  return AbortSignal.timeout(20 * SILENCE_MS);
}
