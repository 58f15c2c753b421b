/**
 * Measures the project's costs, each figure beside the one it is held against, in turns in one run.
 *
 * Usage: bench.ts [PART...]     see PARTS; called by scripts/bench, which builds first
 *
 * @module
 */
import { createLogger } from "../src/base/log.ts";
import { loadConfig } from "../src/config/load.ts";
import { createHypervisor } from "../src/hypervisor/create.ts";
import { templateVm } from "../src/sandbox/machine/make_template.ts";
import { Containerd, releases } from "../tests/interop/containerd.ts";
import { IMAGE } from "../tests/interop/image.ts";
import { Templates } from "../tests/interop/template.ts";
import { median, print, row } from "./bench_report.ts";

const REPO = new URL("../", import.meta.url).pathname;
const GUEST = Deno.env.get("KATA_GUEST") ?? `${REPO}dist/guest`;
const ROUNDS = Number(Deno.env.get("BENCH_ROUNDS") ?? 5);
const RUNC = "io.containerd.runc.v2";

const PARTS: Record<string, () => Promise<void>> = {
  start: benchStart,
  exec: benchExec,
  memory: benchMemory,
  pod: () => script("bench_pod.ts"),
  files: () => script("bench_files.ts"),
  net: () => script("bench_net.ts"),
  ttrpc: () => script("bench_ttrpc.ts"),
  runk: () => script("bench_runk.ts"),
};

function ratio(what: string, { ours, theirs, goal }: { ours: number; theirs: number; goal: string }): void {
  row(what, `${(ours / theirs).toFixed(2)}   (goal: ${goal})`);
}

async function timed(run: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await run();
  return performance.now() - begin;
}

/** The least that a boot costs: our monitor's options and kernel, and a static init that prints and powers off. */
async function bootFloor(): Promise<void> {
  const runDir = await Deno.makeTempDir({ prefix: "kata-floor-" });
  try {
    const path = `${runDir}/configuration.toml`;
    const files = `kernel = "${GUEST}/vmlinux"\ninitrd = "${GUEST}/floor.cpio"\nimage = "${GUEST}/root.erofs"`;
    await Deno.writeTextFile(path, `[hypervisor.qemu]\n${files}\ndefault_memory = 512\n`);
    const { config } = loadConfig({ commandLine: path });
    await using vm = createHypervisor(config.hypervisor, templateVm(config), {
      id: "floor",
      runDir,
      log: createLogger({ sink: () => {} }),
    });
    await vm.start({ signal: AbortSignal.timeout(60_000) });
    const { expected, reason } = await vm.wait();
    if (!expected) throw new Error(`Cannot boot the floor: ${reason}`);
  } finally {
    await Deno.remove(runDir, { recursive: true });
  }
}

/** From the call of ctr to the container's first byte. */
async function firstOutput(containerd: Containerd, { id, runtime }: { id: string; runtime: string }): Promise<number> {
  const begin = performance.now();
  const child = containerd.spawnCtr(["run", "--rm", "--runtime", runtime, IMAGE, id, "echo", "up"]);
  const reader = child.stdout.getReader();
  const { done } = await reader.read();
  const took = performance.now() - begin;
  while (!(await reader.read()).done);
  await child.stdin.close();
  const { success } = await child.status;
  const said = await new Response(child.stderr).text();
  if (done || !success) throw new Error(`Cannot run ${id}: ${said}`);
  return took;
}

async function benchStart(): Promise<void> {
  const release = releases()[0]!;
  await using cold = await Containerd.start({ release, configure: withoutTemplate });
  await using templates = new Templates();
  await using warm = await Containerd.start({ release, configure: templates.configure });
  const madeIn = await timed(() => templates.make(warm.directory));
  const times = { floor: [] as number[], cold: [] as number[], warm: [] as number[], runc: [] as number[] };
  for (let round = 0; round < ROUNDS; round++) {
    times.floor.push(await timed(bootFloor));
    times.cold.push(await firstOutput(cold, { id: `cold-${round}`, runtime: "io.containerd.kata.v2" }));
    times.warm.push(await firstOutput(warm, { id: `warm-${round}`, runtime: "io.containerd.kata.v2" }));
    times.runc.push(await firstOutput(cold, { id: `runc-${round}`, runtime: RUNC }));
  }
  heading(`Start of a container to its first output, ms (median of ${ROUNDS})`);
  row("floor: the same machine with an init that prints", median(times.floor).toFixed(0));
  row("cold: the machine boots", median(times.cold).toFixed(0));
  row("warm: the machine starts from a template", median(times.warm).toFixed(0));
  row("runc on the host", median(times.runc).toFixed(0));
  const theirs = median(times.floor);
  for (const way of ["cold", "warm"] as const) {
    ratio(`${way} / floor`, { ours: median(times[way]), theirs, goal: "at most 2.5" });
  }
  row("phases of the last cold start, ms", phases(cold.log()));
  row("phases of the last warm start, ms", phases(warm.log()));
  row("making the template, ms", madeIn.toFixed(0));
}

/** Leaves the machine's templates unused, if it has any. */
function withoutTemplate(toml: string): string {
  return `${toml}[factory]\nenable_template = false\n`;
}

/** The shim logs how long each part of a sandbox's start took. */
function phases(log: string): string {
  return [...log.matchAll(/"phases":\{([^}]*)\}/g)].at(-1)?.[1]?.replaceAll('"', "") ?? "not logged";
}

async function benchExec(): Promise<void> {
  await using containerd = await Containerd.start({ release: releases()[0]! });
  await using kata = await containerd.background(["sleep", "1000"]);
  const runc = "bench-runc";
  await containerd.must("run", "-d", "--runtime", RUNC, IMAGE, runc, "sleep", "1000");
  await using _runc = { [Symbol.asyncDispose]: () => containerd.remove(runc) };
  const times = { kata: [] as number[], runc: [] as number[] };
  const exec = (id: string, round: number) =>
    timed(() => containerd.must("task", "exec", "--exec-id", `e${round}`, id, "true"));
  for (let round = 0; round < 2 * ROUNDS; round++) {
    times.kata.push(await exec(kata.id, round));
    times.runc.push(await exec(runc, round));
  }
  heading(`exec of true in a running container through containerd, ms (median of ${2 * ROUNDS})`);
  row("in the VM (software emulation where there is no KVM)", median(times.kata).toFixed(0));
  row("runc on the host", median(times.runc).toFixed(0));
  row("ratio", (median(times.kata) / median(times.runc)).toFixed(2));
  row("of it in the guest, from the call of ExecProcess to its answer", median(await agentExecs()).toFixed(0));
}

/**
 * Times that the agent itself takes for an exec, as its log tells. Apart, because logging each call slows all of them.
 */
async function agentExecs(): Promise<number[]> {
  const configure = (toml: string) => `${toml}\n[agent.kata]\nenable_debug = true\n`;
  await using containerd = await Containerd.start({ release: releases()[0]!, configure });
  await using kata = await containerd.background(["sleep", "1000"]);
  for (let round = 0; round < 2 * ROUNDS; round++) {
    await containerd.must("task", "exec", "--exec-id", `e${round}`, kata.id, "true");
  }
  const console = await Deno.readTextFile(`/run/kata/${kata.id}/console.log`);
  return [...console.matchAll(/"call":"grpc.AgentService\/ExecProcess","ms":(\d+)/g)].map(([, ms]) => Number(ms));
}

async function benchMemory(): Promise<void> {
  await using containerd = await Containerd.start({ release: releases()[0]! });
  await using stack = new AsyncDisposableStack();
  for (let n = 0; n < 3; n++) stack.use(await containerd.background(["sleep", "1000"]));
  heading("Memory of three sandboxes, MB each: proportional, private");
  const kinds = {
    shim: /containerd-shim-kata-v2/,
    VMM: /^\S*qemu-system/,
    virtiofsd: /^\S*virtiofsd /,
  };
  for (const [name, pattern] of Object.entries(kinds)) {
    const all = processes().filter(({ command }) => pattern.test(command)).map(({ pid }) => memoryOf(pid));
    row(name, all.map(({ pss, own }) => `${pss.toFixed(0)}, ${own.toFixed(0)}`).join("    "));
    if (name === "shim") {
      row(
        "shim, private, goal: below 45",
        `${Math.max(...all.map(({ own }) => own)).toFixed(1)} at most`,
      );
    }
  }
}

function processes(): { pid: number; command: string }[] {
  return [...Deno.readDirSync("/proc")].flatMap(({ name }) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      return [{ pid: Number(name), command: Deno.readTextFileSync(`/proc/${name}/cmdline`).replaceAll("\0", " ") }];
    } catch {
      return []; // gone meanwhile
    }
  });
}

function memoryOf(pid: number): { pss: number; own: number } {
  const text = Deno.readTextFileSync(`/proc/${pid}/smaps_rollup`);
  const kilobytes = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(text)?.[1] ?? 0);
  return { pss: kilobytes("Pss") / 1000, own: (kilobytes("Private_Clean") + kilobytes("Private_Dirty")) / 1000 };
}

async function script(name: string): Promise<void> {
  heading(name.replace(".ts", ""));
  const args = ["run", "-A", `${REPO}scripts/${name}`];
  const { success } = await new Deno.Command(Deno.execPath(), { args }).spawn().status;
  if (!success) throw new Error(`Cannot measure: ${name} failed`);
}

function heading(text: string): void {
  print(`\n${text}`);
}

if (import.meta.main) {
  const asked = Deno.args.length === 0 ? Object.keys(PARTS) : Deno.args;
  const unknown = asked.filter((part) => !(part in PARTS));
  if (unknown.length > 0) {
    throw new RangeError(`Cannot bench ${unknown.join(", ")}: parts are ${Object.keys(PARTS).join(", ")}`);
  }
  for (const part of asked) await PARTS[part]!();
}
