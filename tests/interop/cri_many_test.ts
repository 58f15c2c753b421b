/** Many pods at once, and the same over and over: nothing hangs, nothing grows. See `pod.ts`. */
import assert from "node:assert/strict";
import { V8_FLAGS } from "../../src/shim/start.ts";
import { processesOf, until } from "./containerd.ts";
import { type Pod, type PodContainer, type PodNode, pods, SLEEP } from "./pod.ts";

const MANY = 10;
const TIMES = 3;
/** So many machines are emulated by so few processors. */
const BOOT_MS = 180_000;
/** Rounds of a container's life, in parts: the first fills caches. KATA_SOAK=1 asks for the long way. */
const PARTS = Deno.env.has("KATA_SOAK") ? [50, 200, 250] : [50, 40];
const ROUNDS = PARTS.reduce((sum, rounds) => sum + rounds);
/** At the end of a part so many rounds are measured. */
const SAMPLES = 5;
/**
 * The shim of this test collects all garbage each time that it collects some: it is otherwise several MiB, now more and
 * now less, and a leak would hide in it. What is left still goes up and down by half a MiB from round to round, so the
 * least of several rounds counts: over 450 rounds that stayed between 24.0 and 24.6 MiB without a trend. The guest's
 * figure grows for 250 rounds, by 5 MiB, until the agent has written all of its room for young objects once.
 */
const SHIM_FLAGS = `${V8_FLAGS},--gc-global`;
const SLACK_KIB = { shim: 1024, virtiofsd: 128, guest: 5 * 1024 };

pods(`${MANY} pods start at once and are removed at once, ${TIMES} times`, async (node) => {
  const names = Array.from({ length: MANY }, (_, at) => `pod${at}`);
  for (let time = 0; time < TIMES; time++) {
    const all = await settled(names.map((name) => node.pod(name)));
    const containers = await settled(all.map((pod) => pod.run("one", SLEEP)));
    const answers = await settled(containers.map((container) => container.exec("hostname")));
    assert.deepEqual(answers, names.map((name) => `${name}\n`));
    await settled(all.map((pod) => pod[Symbol.asyncDispose]()));
    await until(async () => (await node.remains()).length === 0);
  }
}, { configure: (toml) => `${toml}[agent.kata]\nreconnect_timeout_ms = ${BOOT_MS}\n` });

/** As Promise.all, but when one fails the others are not left under way. */
async function settled<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(promises);
  return await Promise.all(promises);
}

pods(`${ROUNDS} rounds of create, exec and delete of a pod's second container leave nothing`, async (node) => {
  await using pod = await node.pod("pod");
  const steady = await pod.run("steady", SLEEP);
  const measured: Record<string, Usage>[] = [];
  let first = 0;
  for (const rounds of PARTS) {
    measured.push(await leastUsage({ node, pod, steady, first, rounds }));
    first += rounds;
  }
  for (const [what, { value, slack, fillsSlowly }] of Object.entries(measured.at(-1)!)) {
    const was = measured.at(fillsSlowly ? -2 : 0)![what]!.value;
    assert.ok(value <= was + slack, `${what}: ${was} at first, ${value} after ${first} rounds`);
  }
}, { env: { DENO_V8_FLAGS: SHIM_FLAGS } });

interface Rounds {
  node: PodNode;
  pod: Pod;
  steady: PodContainer;
  /** Number of the first one. */
  first: number;
  rounds: number;
}

/** Lives through some rounds. @returns The least that was in use at the end of one of the last. */
async function leastUsage({ node, pod, steady, first, rounds }: Rounds): Promise<Record<string, Usage>> {
  const least: Record<string, Usage> = {};
  for (let round = 0; round < rounds; round++) {
    await live(pod, first + round);
    if (round < rounds - SAMPLES) continue;
    for (const [what, used] of Object.entries(await usage(node, { pod, steady }))) {
      if (!(used.value >= least[what]?.value!)) least[what] = used;
    }
  }
  return least;
}

async function live(pod: Pod, round: number): Promise<void> {
  const container = await pod.run("second", SLEEP, { metadata: { name: "second", attempt: round } });
  assert.equal(await container.exec(`echo ${round}`), `${round}\n`);
  await container.stop();
  await container.remove();
}

/** Some number of something, and how much more may be there later. */
interface Usage {
  value: number;
  slack: number;
  /** To be compared with the part before the last, not with the first. */
  fillsSlowly?: boolean;
}

async function usage(
  node: PodNode,
  { pod, steady }: { pod: Pod; steady: PodContainer },
): Promise<Record<string, Usage>> {
  const parts = { shim: "containerd-shim-kata", virtiofsd: "/virtiofsd ", VMM: "qemu-system" };
  const pids = Object.entries(parts).map(([name, program]) => [name, processesOf(program, pod.id)[0]!] as const);
  const numbers = async (command: string) => (await steady.exec(command)).match(/\d+/g)!.map(Number);
  const [inGuest = 0] = await numbers("cut -d/ -f2 /proc/loadavg");
  const [files = 0] = await numbers("cat /proc/sys/fs/file-nr");
  const [total = 0, available = 0] = await numbers("grep -E 'MemTotal|MemAvailable' /proc/meminfo");
  const lines = (await node.remains()).length;
  return {
    "processes, mounts and files of the pod": { value: lines, slack: 0 },
    "KiB of the shim, private": { value: privateKib(pids[0]![1]), slack: SLACK_KIB.shim },
    "KiB of virtiofsd, private": { value: privateKib(pids[1]![1]), slack: SLACK_KIB.virtiofsd },
    ...Object.fromEntries(pids.map(([name, pid]) => [`descriptors of ${name}`, { value: descriptors(pid), slack: 2 }])),
    "threads in the guest": { value: inGuest, slack: 3 },
    "open files in the guest": { value: files, slack: 64 }, // the kernel counts in batches
    "KiB in use in the guest": { value: total - available, slack: SLACK_KIB.guest, fillsSlowly: true },
  };
}

function descriptors(pid: number): number {
  return [...Deno.readDirSync(`/proc/${pid}/fd`)].length;
}

function privateKib(pid: number): number {
  return Number(/^Private_Dirty: +(\d+)/m.exec(Deno.readTextFileSync(`/proc/${pid}/smaps_rollup`))?.[1]);
}
