/**
 * Measures a container under runk, beside runc and crun in the same run: the runtimes take turns, so that whatever else
 * the machine does meets all of them.
 *
 * Usage: bench_runk.ts [ROUNDS]     medians; 100 rounds unless told otherwise. Needs root, busybox, runc, and dist/runk;
 * strace, if it is there, shows where the time of a run goes.
 *
 * @module
 */
import { PHASES, phasesOf, TRACED } from "./bench_phases.ts";
import { median, print } from "./bench_report.ts";

const REPO = new URL("..", import.meta.url).pathname;
const ROUNDS = Number(Deno.args[0] ?? 100);

/** Cgroups of it are beside ours, so that sharing the processor works on all of it alike. */
const CGROUP = "/runk-bench";

interface Runtime {
  name: string;
  /** Words before the arguments. */
  words: readonly string[];
}

/** crun refuses v1 beside a v2 hierarchy with controllers: it gets a view of the machine without that. */
const WITHOUT_V2 = ["unshare", "--mount", "sh", "-c", 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"', "sh"];

const RUNTIMES: readonly Runtime[] = [
  { name: "runk", words: [Deno.env.get("RUNK") ?? `${REPO}dist/runk`] },
  { name: "runc", words: ["runc"] },
  { name: "crun", words: [...WITHOUT_V2, "crun"] },
];

/** Least time of a start of runk: that of the same Deno on an empty script, with the same flags. */
const BARE = ["-A", "--quiet", "--unstable-vsock", "--no-check", "--no-lock", "--no-config", "--cached-only"];

/** A step of each round, in order. `{id}` is the container's; `run` is parted from the rest by a container of its own. */
const STEPS = {
  "start of the program": ["--version"],
  "run --detach": ["run", "--detach", "--bundle", "{bundle}", "{id}"],
  "delete": ["delete", "--force", "{id}"],
  "create": ["create", "--bundle", "{sleeping}", "{id}"],
  "start": ["start", "{id}"],
  "exec": ["exec", "{id}", "/bin/true"],
  "kill and delete": ["delete", "--force", "{id}"],
} as const;

type StepName = keyof typeof STEPS | "bare Deno start";

interface Sample {
  ms: number;
  /** Of the processor, all threads and awaited children together: what other programs do does not change it much. */
  cpuMs: number;
  /** The runtime's own peak, without the container's. */
  peakKiB: number;
}

/** The kernel counts in KiB, busybox takes them for pages of 4 KiB. */
const BUSYBOX_FACTOR = 4;

/** bash tells the times, busybox' time(1) the peak of the resident memory; Deno tells neither. */
const MEASURE = `TIMEFORMAT="%3U %3S"; report=$1; shift; begin=$EPOCHREALTIME
{ time busybox time -o "$report" -v "$@" </dev/null >/dev/null 2>&1; } 2>"$report.cpu"
status=$? end=$EPOCHREALTIME
echo "$begin $end" >>"$report.cpu"
exit $status`;

async function measure(words: readonly string[]): Promise<Sample> {
  const report = await Deno.makeTempFile();
  try {
    const args = ["-c", MEASURE, "bash", report, ...words];
    const { success } = await new Deno.Command("bash", { args, stdout: "null", stderr: "null" }).output();
    if (!success) throw new Error(`Cannot measure ${words.join(" ")}`);
    const peak = /Maximum resident set size \(kbytes\): (\d+)/.exec(await Deno.readTextFile(report))?.[1];
    const seconds = (await Deno.readTextFile(`${report}.cpu`)).trim().split(/\s/).map(Number);
    const [user = NaN, system = NaN, begin = NaN, end = NaN] = seconds;
    return { ms: (end - begin) * 1000, cpuMs: (user + system) * 1000, peakKiB: Number(peak) / BUSYBOX_FACTOR };
  } finally {
    await Deno.remove(report);
    await Deno.remove(`${report}.cpu`);
  }
}

/** Writes a bundle of busybox whose process is `args`. */
async function writeBundle(directory: string, args: readonly string[]): Promise<string> {
  await Deno.mkdir(`${directory}/rootfs/bin`, { recursive: true });
  for (const name of ["proc", "sys", "dev"]) await Deno.mkdir(`${directory}/rootfs/${name}`);
  await Deno.copyFile("/bin/busybox", `${directory}/rootfs/bin/busybox`);
  for (const applet of ["true", "sleep"]) await Deno.symlink("busybox", `${directory}/rootfs/bin/${applet}`);
  const { success } = await new Deno.Command("runc", { args: ["spec", "--bundle", directory] }).output();
  if (!success) throw new Error(`Cannot write "${directory}/config.json"`);
  const spec = JSON.parse(await Deno.readTextFile(`${directory}/config.json`));
  spec.process = { ...spec.process, terminal: false, args };
  spec.linux.cgroupsPath = CGROUP;
  await Deno.writeTextFile(`${directory}/config.json`, JSON.stringify(spec));
  return directory;
}

type Samples = Record<StepName, Sample[]>;

async function measureRounds(runtimes: readonly Runtime[], directory: string): Promise<Map<string, Samples>> {
  const bundle = await writeBundle(`${directory}/bundle`, ["/bin/true"]);
  const sleeping = await writeBundle(`${directory}/sleeping`, ["/bin/sleep", "1000"]);
  const all = new Map(runtimes.map(({ name }) => [name, emptySamples()]));
  // The first round fills caches and is not counted.
  for (let round = -1; round < ROUNDS; round++) {
    for (const { name, words } of runtimes) {
      const values: Record<string, string> = { bundle, sleeping, id: `bench-${name}-${round + 1}` };
      const add = (step: StepName, sample: Sample) => round >= 0 && all.get(name)![step].push(sample);
      if (name === "runk") add("bare Deno start", await measure(bareStart(directory)));
      for (const [step, template] of Object.entries(STEPS)) {
        const args = template.map((word) => word.replace(/^\{(\w+)\}$/, (_, key: string) => values[key]!));
        add(step as StepName, await measure([...words, "--root", `${directory}/${name}`, ...args]));
      }
    }
  }
  return all;
}

function bareStart(directory: string): string[] {
  Deno.writeTextFileSync(`${directory}/empty.js`, "");
  return ["env", `DENO_DIR=${directory}/deno`, deno(), "run", ...BARE, `${directory}/empty.js`];
}

/** The Deno that the portable file has unpacked, and prelinked; its head holds the name of the directory. */
function deno(): string {
  using file = Deno.openSync(`${REPO}dist/kata`);
  const head = new Uint8Array(64 << 10);
  const [tree] =
    /\/var\/cache\/kata\/[0-9a-f]{32}/.exec(new TextDecoder().decode(head.subarray(0, file.readSync(head)!))) ?? [];
  return `${tree ?? `${REPO}dist/program`}/deno`;
}

function emptySamples(): Samples {
  const steps: StepName[] = ["bare Deno start", ...Object.keys(STEPS) as StepName[]];
  return Object.fromEntries(steps.map((step) => [step, []])) as unknown as Samples;
}

/** One row: what was measured, in a unit, from a runtime's samples. */
type Row = [what: string, value: (samples: Samples) => number];

/** The sum of the steps' medians. */
function ms(samples: Samples, ...steps: StepName[]): number {
  return steps.reduce((sum, step) => sum + median(samples[step].map((sample) => sample.ms)), 0);
}

/** The sum of the steps' least times: what a machine does that does nothing else. */
function leastMs(samples: Samples, ...steps: StepName[]): number {
  return steps.reduce((sum, step) => sum + Math.min(...samples[step].map((sample) => sample.ms)), 0);
}

function cpuMs(samples: Samples, ...steps: StepName[]): number {
  return steps.reduce((sum, step) => sum + median(samples[step].map((sample) => sample.cpuMs)), 0);
}

const ROWS: readonly Row[] = [
  ["bare Deno start, ms", (samples) => ms(samples, "bare Deno start")],
  ...(Object.keys(STEPS) as (keyof typeof STEPS)[]).map((step): Row => [`${step}, ms`, (samples) => ms(samples, step)]),
  ["run and delete, ms", (samples) => ms(samples, "run --detach", "delete")],
  ["create and start, ms", (samples) => ms(samples, "create", "start")],
  [
    "run without the start of the program, ms",
    (samples) => ms(samples, "run --detach") - ms(samples, "start of the program"),
  ],
  ["least: run and delete, ms", (samples) => leastMs(samples, "run --detach", "delete")],
  [
    "least: run without the start of the program",
    (samples) => leastMs(samples, "run --detach") - leastMs(samples, "start of the program"),
  ],
  ["processor: bare Deno start, ms", (samples) => cpuMs(samples, "bare Deno start")],
  ["processor: start of the program, ms", (samples) => cpuMs(samples, "start of the program")],
  ["processor: run, ms", (samples) => cpuMs(samples, "run --detach")],
  ["processor: run and delete, ms", (samples) => cpuMs(samples, "run --detach", "delete")],
  ["peak memory of run, MiB", (samples) => Math.max(...samples["run --detach"].map(({ peakKiB }) => peakKiB)) / 1024],
];

function table(all: Map<string, Samples>): string {
  const names = [...all.keys()];
  const others = names.slice(1);
  const head = ["", ...names, ...others.map((name) => `runk/${name}`)];
  const rows = ROWS.map(([what, value]) => {
    const values = names.map((name) => value(all.get(name)!));
    return [
      what,
      ...values.map((each) => Number.isFinite(each) ? each.toFixed(1) : ""),
      ...values.slice(1).map((each) => Number.isFinite(each) ? (values[0]! / each).toFixed(2) : ""),
    ];
  });
  return [head, ...rows].map(([what = "", ...cells]) =>
    what.padEnd(44) + cells.map((cell) => cell.padStart(10)).join("")
  )
    .join("\n");
}

const PHASE_ROUNDS = 15;

/** @returns One line a phase, with its median. */
async function tracePhases(directory: string): Promise<string> {
  const [runk] = RUNTIMES;
  const runs: number[][] = [];
  for (let round = 0; round < PHASE_ROUNDS; round++) {
    const [trace, root, id] = [`${directory}/trace`, ["--root", `${directory}/runk`], `phases-${round}`];
    const command = [...runk!.words, ...root, "run", "--detach", "--bundle", `${directory}/bundle`, id];
    await measure(["strace", "-f", "--seccomp-bpf", "-ttt", "-e", `trace=${TRACED}`, "-o", trace, ...command]);
    await measure([...runk!.words, ...root, "delete", "--force", id]);
    runs.push(phasesOf(await Deno.readTextFile(trace)));
  }
  const medians = PHASES.map((_, index) => median(runs.map((run) => run[index]!)));
  const rows = [
    ...PHASES.map(({ name }, index) => [name, medians[index]!] as const),
    [
      "all of it, which strace slows down",
      medians.reduce((sum, each) => sum + each, 0),
    ] as const,
  ];
  const lines = rows.map(([name, each]) => name.padEnd(44) + each.toFixed(1).padStart(10));
  return ["where a run of runk spends its time, ms", ...lines].join("\n");
}

async function isUsable({ words }: Runtime): Promise<boolean> {
  const [command = "", ...args] = [...words, "--version"];
  return await new Deno.Command(command, { args }).output().then(({ success }) => success, () => false);
}

async function main(): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "runk-bench-" });
  try {
    const usable = await Promise.all(RUNTIMES.map(isUsable));
    const all = await measureRounds(RUNTIMES.filter((_, index) => usable[index]), directory);
    print(table(all));
    if (await isUsable({ name: "strace", words: ["strace"] })) print(`\n${await tracePhases(directory)}`);
  } finally {
    await Deno.remove(directory, { recursive: true });
    const args = ["/sys/fs/cgroup", "-depth", "-type", "d", "-path", `*${CGROUP}`, "-exec", "rmdir", "{}", "+"];
    await new Deno.Command("find", { args, stderr: "null" }).output();
  }
}

await main();
