/**
 * The rounds of the soak: a life through shim and VM, through a pod that lives on, through runk. Each must leave nothing,
 * and what is counted after it goes into a series.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { V8_FLAGS } from "../src/shim/start/start.ts";
import { type Containerd, processesOf, RUNTIME } from "../tests/interop/containerd.ts";
import { IMAGE } from "../tests/interop/image.ts";
import { type Pod, type PodContainer, type PodNode, SLEEP } from "../tests/interop/pod.ts";
import type { Box } from "../tests/oci/runtime.ts";
import { machineFigures, processFigures } from "./soak_census.ts";
import { type Figure, Series } from "./soak_trend.ts";
import { until } from "../tests/support/wait.ts";

/** Bytes that are copied in and out in each round. */
const COPIED = 64 * 1024;
const GONE_MS = 15_000;
/** Of a command that copies. */
const LIMIT_S = 60;
/** Programs in the guest take time: their figures are taken in each so-many-th round. */
const LOOK_INSIDE_EVERY = 5;

/**
 * For the environment of a shim that is measured: it collects all garbage each time that it collects some. It is
 * otherwise several MiB, now more and now less, and a leak would hide in it. What is left still goes up and down by half
 * a MiB from round to round, so the least of several rounds counts.
 */
export const MEASURED_SHIM = { DENO_V8_FLAGS: `${V8_FLAGS},--gc-global` };

/**
 * KiB. Over 450 rounds a shim stayed between 24.0 and 24.6 MiB without a trend. The guest's figure grows for 250 rounds,
 * by 5 MiB, until the agent has written all of its room for young objects once.
 */
const MEMORY = {
  shim: { perRound: 4, slack: 1024 },
  virtiofsd: { perRound: 1, slack: 128 },
  guest: { perRound: 24, slack: 5 * 1024 },
} as const;

/** Called after each round. */
export type Progress = (round: number) => void;

export interface RoundOptions {
  rounds: number;
  progress?: Progress;
}

/** Lives of whole sandboxes: run, exec, copy in and out, delete, always with the same id. */
export async function vmRounds(containerd: Containerd, { rounds, progress }: RoundOptions): Promise<Series> {
  const series = new Series();
  const id = containerd.id("soak");
  const file = `${containerd.directory}/copied`;
  await Deno.writeTextFile(file, randomText());
  for (let round = 0; round < rounds; round++) {
    await containerd.must("run", "-d", "--runtime", RUNTIME, IMAGE, id, "sh", "-c", SLEEP);
    await copyByCtr(containerd, { id, file });
    await containerd.remove(id);
    await isGone(() => containerd.remains());
    series.note(round, { ...machineFigures(), ...processFigures("containerd", containerd.pid) });
    progress?.(round);
  }
  return series;
}

async function copyByCtr(containerd: Containerd, { id, file }: { id: string; file: string }): Promise<void> {
  const exec = (name: string, command: string) =>
    `timeout ${LIMIT_S} ${containerd.commandLine(`task exec --exec-id ${name} ${id} sh -c`)} '${command}'`;
  // ctr does not pass the end of its input on if it comes before the process has started.
  const script = `${exec("in", `head -c ${COPIED} >/copied`)} <${file} && ${
    exec("out", "cat /copied")
  } | cmp - ${file}`;
  const { status, stdout, stderr } = await containerd.run(["sh", "-c", script]);
  assert.equal(status, 0, `copying: ${stdout}${stderr}`);
}

/** Lives of a container in a pod that lives on: create, start, exec, copy in and out, stop, remove. */
export async function podRounds(node: PodNode, { rounds, progress }: RoundOptions): Promise<Series> {
  const series = new Series();
  const volume = `${node.containerd.directory}/volume`;
  await Deno.mkdir(volume);
  await using pod = await node.pod("pod");
  const steady = await pod.run("steady", SLEEP);
  for (let round = 0; round < rounds; round++) {
    await liveInPod(pod, { round, volume });
    series.note(round, { ...machineFigures(), ...await podFigures(node, pod) });
    if (round % LOOK_INSIDE_EVERY === 0) series.note(round, await figuresInside(steady));
    progress?.(round);
  }
  return series;
}

async function liveInPod(pod: Pod, { round, volume }: { round: number; volume: string }): Promise<void> {
  const mounts = [{ container_path: "/volume", host_path: volume }];
  const container = await pod.run("second", SLEEP, { metadata: { name: "second", attempt: round }, mounts });
  assert.equal(await container.exec(`echo ${round} | tee /volume/round`), `${round}\n`);
  assert.equal(await Deno.readTextFile(`${volume}/round`), `${round}\n`);
  await copyByStream(container);
  await container.stop();
  await container.remove();
}

/** As `kubectl cp` does it: a stream into a process, and one out of another. */
async function copyByStream(container: PodContainer): Promise<void> {
  const text = randomText();
  await using into = await container.interact(`head -c ${COPIED} >/copied; echo done`);
  into.write(text);
  await into.shows(/done/);
  const hash = createHash("sha256").update(text).digest("hex");
  assert.match(await container.exec("sha256sum /copied"), new RegExp(`^${hash} `));
}

async function podFigures(node: PodNode, pod: Pod): Promise<Record<string, Figure>> {
  // Of virtiofsd's two processes the first only waits for the second.
  const pid = (program: string) => processesOf(program, pod.id).at(-1)!;
  const remains = { value: (await node.remains()).length, bound: { perRound: 0, slack: 0 } };
  return {
    "processes, mounts and files of the pod": remains,
    ...processFigures("shim", pid("containerd-shim-kata"), MEMORY.shim),
    ...processFigures("virtiofsd", pid("/virtiofsd "), MEMORY.virtiofsd),
    ...processFigures("VMM", pid("qemu-system")), // its memory is the guest's, which touches more and more of it
  };
}

async function figuresInside(steady: PodContainer): Promise<Record<string, Figure>> {
  const script = "cut -d/ -f2 /proc/loadavg | cut -d' ' -f1; cut -f1 /proc/sys/fs/file-nr; " +
    "grep -E 'MemTotal|MemAvailable' /proc/meminfo";
  const numbers = (await steady.exec(script)).match(/\d+/g)!.map(Number);
  const [threads = 0, files = 0, total = 0, available = 0] = numbers;
  return {
    "threads in the guest": { value: threads, bound: { perRound: 0.05, slack: 3 } },
    "open files in the guest": { value: files, bound: { perRound: 0.1, slack: 64 } }, // the kernel counts in batches
    "KiB in use in the guest": { value: total - available, bound: MEMORY.guest },
  };
}

/** Lives of a container of runk: create, start, exec, copy in and out, kill, delete. */
export async function runkRounds(box: Box, { rounds, progress }: RoundOptions): Promise<Series> {
  const series = new Series();
  const id = box.id();
  box.sh("sleep 1000000").save();
  for (let round = 0; round < rounds; round++) {
    await box.ok("create", "--bundle", box.bundle, id);
    await box.ok("start", id);
    const text = randomText();
    await box.call(["exec", id, "/bin/sh", "-c", "cat >/tmp/copied"], { stdin: text });
    assert.equal((await box.ok("exec", id, "/bin/cat", "/tmp/copied")).stdout, text);
    await box.ok("kill", id, "KILL");
    await box.until(id, "stopped");
    await box.ok("delete", id);
    await isGone(async () => [...Deno.readDirSync(box.root)].map(({ name }) => name));
    series.note(round, machineFigures());
    progress?.(round);
  }
  return series;
}

async function isGone(left: () => Promise<readonly string[]>): Promise<void> {
  const isClean = async () => (await left()).length === 0;
  await until(isClean, { ms: GONE_MS }).catch(async () => assert.deepEqual(await left(), []));
}

/** A line of characters that a terminal and a shell pass on as they are. */
function randomText(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(COPIED / 2));
  return bytes.toHex();
}
