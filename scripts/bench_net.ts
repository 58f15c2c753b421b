/**
 * Cost of a pod's network path beside the same path made by hand (see `bench_hand.ts` for what that is), measured from
 * the host's end of the bridge.
 *
 * Starting a server in a container is no part of it: bytes are counted while they flow, after a run-up in which windows
 * and buffers fill. Machines and processes that are the same differ by some percent for as long as they live (by where
 * their pages lie), and neighbours disturb: so there are several machines of each kind, measured in turns, each time over
 * a new connection to a new process, and the result is the median of the rounds' ratios, with the quartiles beside it.
 *
 * Usage: bench_net.ts [ROUNDS]     called by scripts/bench; needs root, containerd with CNI plugins, QEMU, busybox
 *
 * @module
 */

import { type Pod, type PodContainer, PodNode } from "../tests/interop/pod.ts";
import { handNetns, startByHand } from "./bench_hand.ts";
import { median, print, quartiles } from "./bench_report.ts";
import { until } from "../tests/support/wait.ts";

const ROUNDS = Number(Deno.args[0] ?? 15);
const MACHINES = 3;
const MIB = 2 ** 20;
const RUN_UP_MIB = 16;
const COUNTED_MIB = 64;
const RUN_UP_PINGS = 20;
const PINGS = 100;
/** Takes what it gets; gives without end; gives back what it gets. */
const PORTS = { sink: 5001, source: 5002, echo: 5003 } as const;
const SERVERS = [
  `nc -ll -p ${PORTS.sink} -e dd of=/dev/null bs=64k 2>/dev/null &`,
  `nc -ll -p ${PORTS.source} -e dd if=/dev/zero bs=64k 2>/dev/null &`,
  `nc -ll -p ${PORTS.echo} -e cat &`,
];

/** Waits for a machine that boots. */
async function connected(hostname: string, port: number): Promise<Deno.TcpConn> {
  let connection: Deno.TcpConn | undefined;
  const connect = async () => {
    connection = await Deno.connect({ hostname, port }).catch(() => undefined);
    return connection !== undefined;
  };
  await until(connect, { ms: 60_000 });
  return connection!;
}

/** @returns Milliseconds that the part after the run-up took, per MiB. */
async function timed(move: (mib: number) => Promise<void>): Promise<number> {
  await move(RUN_UP_MIB);
  const begin = performance.now();
  await move(COUNTED_MIB);
  return (performance.now() - begin) / COUNTED_MIB;
}

function send(connection: Deno.TcpConn): Promise<number> {
  const block = new Uint8Array(MIB);
  return timed(async (mib) => {
    for (let sent = 0; sent < mib; sent++) {
      for (let rest = block; rest.length > 0;) rest = rest.subarray(await connection.write(rest));
    }
  });
}

function receive(connection: Deno.TcpConn): Promise<number> {
  const block = new Uint8Array(MIB);
  return timed(async (mib) => {
    for (let rest = mib * MIB; rest > 0;) {
      const count = await connection.read(block.subarray(0, Math.min(rest, MIB)));
      if (count === null) throw new Error("Cannot measure: the guest sends no more");
      rest -= count;
    }
  });
}

/** @returns Milliseconds until a byte is back, the median. */
async function ping(connection: Deno.TcpConn): Promise<number> {
  const byte = new Uint8Array(1);
  const times: number[] = [];
  for (let count = 0; count < RUN_UP_PINGS + PINGS; count++) {
    const begin = performance.now();
    await connection.write(byte);
    await connection.read(byte);
    times.push(performance.now() - begin);
  }
  return median(times.slice(RUN_UP_PINGS));
}

interface Measure {
  what: string;
  port: number;
  /** @returns Milliseconds. */
  measure(connection: Deno.TcpConn): Promise<number>;
  shown(ms: number): string;
}

function inMegabytes(msPerMib: number): string {
  return (MIB / 1e3 / msPerMib).toFixed(0);
}

const MEASURES: readonly Measure[] = [
  { what: "into the guest, MB/s", port: PORTS.sink, measure: send, shown: inMegabytes },
  { what: "out of the guest, MB/s", port: PORTS.source, measure: receive, shown: inMegabytes },
  { what: "a byte there and back, ms", port: PORTS.echo, measure: ping, shown: (ms) => ms.toFixed(2) },
];

interface Machine {
  kind: "pod" | "hand";
  address: string;
}

/** Measures all machines in turns, in an order that changes: none always comes after the same other. */
async function compare({ what, port, measure, shown }: Measure, machines: readonly Machine[]): Promise<void> {
  const once = async ({ address }: Machine) => {
    using connection = await connected(address, port);
    connection.setNoDelay();
    return await measure(connection);
  };
  // The emulator translates the guest's code when it is run for the first time.
  for (const machine of machines) await once(machine);
  const rounds: Record<Machine["kind"], number>[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const sums = { pod: 0, hand: 0 };
    const turned = machines.map((_, index) => machines[(index + round) % machines.length]!);
    for (const machine of round % 2 === 0 ? turned : turned.toReversed()) sums[machine.kind] += await once(machine);
    rounds.push(sums);
  }
  const [low, middle, high] = quartiles(rounds.map(({ pod, hand }) => hand / pod)).map((one) => one.toFixed(2));
  const [pod, hand] = (["pod", "hand"] as const).map((kind) =>
    shown(median(rounds.map((sums) => sums[kind])) / MACHINES)
  );
  const figures = `pod ${pod!.padStart(5)}   by hand ${hand!.padStart(5)}   ratio ${middle} (${low} to ${high})`;
  print(`  ${what.padEnd(26)} ${figures}   goal: at least 0.9`);
}

async function startPod(node: PodNode, name: string): Promise<{ pod: Pod; container: PodContainer; address: string }> {
  // Engines give a pod that asks for nothing next to no share of a busy processor.
  const pod = await node.pod(name, { linux: { resources: { cpu_shares: 1024 } } });
  const container = await pod.run("servers", [...SERVERS, "wait"].join("\n"));
  const [address = ""] = await pod.addresses();
  return { pod, container, address };
}

if (import.meta.main) {
  const directory = await Deno.makeTempDir({ prefix: "kata-bench-" });
  try {
    await using _netns = await handNetns(MACHINES);
    await using node = await PodNode.start();
    await using machines = new AsyncDisposableStack();
    const all: Machine[] = [];
    for (let number = 0; number < MACHINES; number++) {
      const twin = await startPod(node, `pod${number}`);
      machines.use(twin.pod);
      const hand = machines.use(await startByHand({ ...twin, number, servers: SERVERS, directory }));
      all.push({ kind: "pod", address: twin.address }, { kind: "hand", address: hand.address });
    }
    print(`  ${MACHINES} machines of each kind, median of ${ROUNDS} rounds and its quartiles`);
    for (const measure of MEASURES) await compare(measure, all);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}
