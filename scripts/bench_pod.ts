/**
 * Measures a pod: its start through Kubernetes' interface by phase, and its memory by part, on the host and inside.
 *
 * Usage: bench_pod.ts [ROUNDS]     called by scripts/bench; needs root, containerd with CNI plugins, QEMU
 *
 * @module
 */
import { processesOf } from "../tests/interop/host.ts";
import { type Pod, type PodContainer, PodNode, SLEEP } from "../tests/interop/pod.ts";
import { median, print, row } from "./bench_report.ts";

const ROUNDS = Number(Deno.args[0] ?? 5);
/** Of the harness' configuration. */
const GUEST_MIB = 512;

/** Milliseconds by phase, a value for each round. */
type Samples = Map<string, number[]>;

function note(samples: Samples, phase: string, ms: number): void {
  samples.set(phase, [...samples.get(phase) ?? [], ms]);
}

async function timed<T>(samples: Samples, phase: string, call: () => Promise<T>): Promise<T> {
  const begin = performance.now();
  const result = await call();
  note(samples, phase, performance.now() - begin);
  return result;
}

/** The shim logs what the sandbox took, when its first container is created. */
function notePhases(samples: Samples, log: string): void {
  const last = [...log.matchAll(/"phases":(\{[^}]*\})/g)].at(-1)?.[1] ?? "{}";
  for (const [phase, ms] of Object.entries(JSON.parse(last) as Record<string, number>)) {
    note(samples, `  shim: ${phase}`, ms);
  }
}

async function benchStart(node: PodNode): Promise<void> {
  const samples: Samples = new Map();
  for (let round = 0; round < ROUNDS; round++) {
    const pod = await timed(samples, "RunPodSandbox", () => node.pod(`pod${round}`));
    notePhases(samples, node.containerd.log());
    const container = await timed(samples, "CreateContainer", () => pod.create("one", SLEEP));
    await timed(samples, "StartContainer", () => container.start());
    await timed(samples, "ExecSync of true", () => container.exec("true"));
    await timed(samples, "StopPodSandbox", () => pod.stop());
    await timed(samples, "RemovePodSandbox", () => pod.remove());
  }
  print(`\nA pod through CRI by phase, ms (median of ${ROUNDS}; phases of the shim overlap)`);
  for (const [phase, values] of samples) row(phase, median(values).toFixed(0));
}

async function benchMemory(node: PodNode): Promise<void> {
  await using pod = await node.pod("memory");
  const container = await pod.run("one", SLEEP);
  print("\nMemory of a pod with one sleeping container, MB: proportional, private and written");
  for (const [part, program] of Object.entries({ VMM: "qemu-system", virtiofsd: "/virtiofsd ", shim: "shim-kata" })) {
    row(part, onHost(program, pod));
  }
  print(`Inside, MB of ${GUEST_MIB}`);
  for (const [part, kib] of await inGuest(container)) row(part, (kib / 1024).toFixed(1));
}

function onHost(program: string, pod: Pod): string {
  const [pid] = processesOf(program, pod.id);
  const text = Deno.readTextFileSync(`/proc/${pid}/smaps_rollup`);
  const kib = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(text)?.[1] ?? 0);
  return [kib("Pss"), kib("Private_Dirty")].map((value) => (value / 1024).toFixed(1)).join(", ");
}

/** Anonymous memory is the agent's, but for what one sleeping busybox and this very `cat` have: 0.2 MB. */
async function inGuest(container: PodContainer): Promise<[part: string, kib: number][]> {
  const text = await container.exec("cat /proc/meminfo");
  const kib = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(text)?.[1] ?? 0);
  const running = ["Slab", "KernelStack", "PageTables", "Percpu"].reduce((sum, field) => sum + kib(field), 0);
  const parts: [string, number][] = [
    ["kernel: its image and what it reserves at its start", GUEST_MIB * 1024 - kib("MemTotal")],
    ["kernel: slabs, stacks, page tables, per processor", running],
    ["agent: anonymous", kib("AnonPages")],
    ["page cache: files of images, initramfs (Deno's binary too)", kib("Cached") - kib("Shmem") + kib("Buffers")],
    ["tmpfs", kib("Shmem")],
    ["free", kib("MemFree")],
  ];
  const known = parts.reduce((sum, [, value]) => sum + value, 0);
  return [...parts, ["the rest: drivers' buffers, modules", GUEST_MIB * 1024 - known]];
}

if (import.meta.main) {
  await using node = await PodNode.start();
  await benchStart(node);
  await benchMemory(node);
}
