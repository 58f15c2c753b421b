/**
 * Runs the test suites one after the other and adds up what Deno counted: the last line is `N passed, N failed`.
 *
 * Usage: run_tests.ts [SUITE...]
 *
 * @module
 */
import { exists } from "../src/base/files.ts";
import { LEFT_OUT_FILE, readLeftOut } from "../src/base/testing/left_out.ts";
import { added, leftovers, RUN_MARK } from "./leftovers.ts";
import { explain, formatReasons, readSkipped, type Reasons } from "./skips.ts";

interface Count {
  passed: number;
  failed: number;
  skipped: number;
}

/**
 * Counts of a suite's tests, and why some of them were skipped. A test that is skipped for no reason fails its suite.
 */
interface Outcome extends Count {
  reasons?: Reasons;
}

/** `commands`: each command is one test; `deno test`: the paths that exist, counted by Deno itself. */
type Suite =
  | { name: string; kind: "commands"; commands: string[][] }
  | {
    name: string;
    kind: "deno test";
    paths: string[];
    /** Names of the tests that run, and why the others do not. */
    only?: { names: RegExp; why: string };
    env?: Record<string, string>;
    needs?: string;
  };

const root = new URL("..", import.meta.url).pathname;

const SHELL_SCRIPTS = [
  "accelerate/launcher/plain.sh",
  "bench",
  "build",
  "demo",
  "fuzz",
  "generate",
  "guest-image",
  "accelerate/portable_head/portable_head.sh",
  "prepare.sh",
  "soak",
  "systemd-image",
  "test",
]
  .map((
    name,
  ) => `scripts/${name}`);

const SUITES: Suite[] = [
  {
    name: "static",
    kind: "commands",
    commands: [
      ["deno", "fmt", "--check"],
      ["deno", "lint"],
      ["deno", "check"],
      ["scripts/generate", "--check"],
      ["shellcheck", ".ci/run", ...SHELL_SCRIPTS],
    ],
  },
  {
    name: "unit",
    kind: "deno test",
    paths: [
      "src",
      "scripts",
      "tests/layers_test.ts",
      "tests/lengths_test.ts",
      "tests/main_test.ts",
      "tests/readme_test.ts",
      "tests/doc_test.ts",
    ],
    // One after the other: descriptors belong to the process, which parallel modules would share.
  },
  { name: "fuzz", kind: "deno test", paths: ["tests/fuzz"] },
  { name: "build", kind: "deno test", paths: ["tests/build"] },
  { name: "system", kind: "deno test", paths: ["tests/system"] },
  // runk, and the same black-box suite on the runtimes that everybody uses, so that the suite itself is tested.
  { name: "oci", kind: "deno test", paths: ["tests/oci"] },
  { name: "oci-runc", kind: "deno test", paths: ["tests/oci"], env: { RUNTIME: "runc" } },
  {
    name: "oci-crun",
    kind: "deno test",
    paths: ["tests/oci"],
    env: { RUNTIME: "crun" },
    needs: "/sys/fs/cgroup/cgroup.controllers", // crun refuses to work on a hybrid hierarchy
  },
  { name: "vm", kind: "deno test", paths: ["tests/vm"] },
  // The newest QEMU, which takes nothing that is announced as removed. Rules about its user need a place that others can enter.
  {
    name: "vm-newest",
    kind: "deno test",
    paths: ["tests/vm/boot_test.ts", "tests/vm/qemu_test.ts", "tests/vm/template_test.ts"],
    only: {
      names: /^(Qemu|a VM|a share|kata-runtime|versions|kvm|B21|the guest boots)/,
      why: "tried with the other QEMU: QEMU's own user cannot enter the newest one's directory",
    },
    env: {
      KATA_QEMU: Deno.env.get("KATA_NEWEST_QEMU") ?? "/nowhere/KATA_NEWEST_QEMU",
      // The other daemon than that of the suite before, which is the one in Rust.
      KATA_VIRTIOFSD: "/usr/lib/qemu/virtiofsd",
    },
  },
  // Attacks from inside and outside, and the host as the witness of what they reach.
  { name: "security", kind: "deno test", paths: ["tests/security"] },
  { name: "interop", kind: "deno test", paths: ["tests/interop"] },
  // The build without the tricks of scripts/accelerate. KATA_PLAIN=1 scripts/test SUITE runs a whole suite on it.
  {
    name: "plain",
    kind: "deno test",
    paths: [
      "tests/plain",
      "tests/oci/cli_test.ts",
      "tests/oci/hostile_test.ts",
      "tests/oci/lifecycle_test.ts",
      "tests/oci/process_test.ts",
    ],
    env: builtIn(`${root}dist/plain`),
  },
];

/** Variables for tests: what they try is the build in this directory. */
function builtIn(dist: string): Record<string, string> {
  return { KATA_SHIM: `${dist}/containerd-shim-kata-v2`, KATA_GUEST: `${dist}/guest`, RUNTIME: `${dist}/runk` };
}

/** Reads the totals of a JUnit report of `deno test`. */
export function countJunit(report: string): Count {
  const head = /<testsuites\b[^>]*>/.exec(report)?.[0] ?? "";
  const attribute = (name: string) => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(head)?.[1] ?? 0);
  const failed = attribute("failures") + attribute("errors");
  const skipped = report.match(/<skipped\b/g)?.length ?? 0;
  return { passed: attribute("tests") - failed - skipped, failed, skipped };
}

/** Words the sum as CI reads it. */
export function formatCount({ passed, failed, skipped }: Count): string {
  return `${passed} passed, ${failed} failed` + (skipped > 0 ? `, ${skipped} skipped` : "");
}

function add(total: Count, count: Count): void {
  for (const key of ["passed", "failed", "skipped"] as const) total[key] += count[key];
}

async function run([command, ...args]: string[], env: Record<string, string> = {}): Promise<boolean> {
  const path = command === "deno" ? Deno.execPath() : command!;
  const colour: Record<string, string> = Deno.stdout.isTerminal() ? {} : { NO_COLOR: "1" };
  const options: Deno.CommandOptions = { args, env: { ...colour, ...env }, cwd: root, stdin: "null" };
  const { success } = await new Deno.Command(path, options).spawn().status;
  return success;
}

async function runCommands(commands: string[][]): Promise<Count> {
  const count = { passed: 0, failed: 0, skipped: 0 };
  for (const command of commands) {
    print(`$ ${command.join(" ")}`);
    if (await run(command)) count.passed++;
    else count.failed++;
  }
  return count;
}

async function runDenoTest({ paths, only, env }: Suite & { kind: "deno test" }): Promise<Outcome> {
  const report = await Deno.makeTempFile({ prefix: "kata-junit-" });
  const told = await Deno.makeTempFile({ prefix: "kata-left-out-" });
  try {
    const filter = only === undefined ? [] : [`--filter=${only.names}`];
    const command = ["deno", "test", "-A", ...filter, `--junit-path=${report}`, ...paths];
    const success = await run(command, { ...env, [LEFT_OUT_FILE]: told });
    const text = await Deno.readTextFile(report);
    const count = countJunit(text);
    // A module that does not load, or a leak outside a test, fails the run without a failed test of its own.
    if (!success && count.failed === 0) count.failed = 1;
    // A filter that fits no name, or paths that hold no test, would pass for ever.
    if (count.passed + count.failed + count.skipped === 0) {
      print(`no test ran of ${paths.join(" ")}`);
      count.failed = 1;
    }
    const skipped = readSkipped(text);
    const others = skipped.filter(({ name }) => only?.names.test(name) === false).map(({ name: of }) => ({
      of,
      why: only!.why,
    }));
    const { reasons, untold } = explain(skipped, [...readLeftOut(await Deno.readTextFile(told)), ...others]);
    for (const { name, file } of untold) print(`skipped without a reason: ${name} of ${file}`);
    if (untold.length > 0) count.failed++;
    return { ...count, reasons };
  } finally {
    await Promise.all([report, told].map((path) => Deno.remove(path)));
  }
}

/** @returns What was counted, or why nothing was run. */
async function runSuite(suite: Suite): Promise<Outcome | string> {
  if (suite.kind === "commands") return await runCommands(suite.commands);
  if (suite.needs !== undefined && !exists(suite.needs)) return `skipped, for there is no ${suite.needs}`;
  const paths = suite.paths.filter((path) => holdsTests(`${root}/${path}`));
  return paths.length === 0 ? "no tests yet" : await runDenoTest({ ...suite, paths });
}

function holdsTests(path: string): boolean {
  if (path.endsWith("_test.ts")) return exists(path);
  if (!exists(path)) return false;
  return [...Deno.readDirSync(path)].some((entry) =>
    entry.isDirectory ? holdsTests(`${path}/${entry.name}`) : entry.name.endsWith("_test.ts")
  );
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

/** One test more: the suites leave the machine as they found it. */
async function checkLeftovers(before: readonly string[], mark: string): Promise<Count> {
  // A shim that was killed on purpose, and what it started, may need a moment.
  for (let tries = 0; tries < 10 && added(before, leftovers(mark)).length > 0; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  const left = added(before, leftovers(mark));
  for (const line of left) print(`left behind: ${line}`);
  return { passed: left.length === 0 ? 1 : 0, failed: left.length === 0 ? 0 : 1, skipped: 0 };
}

async function main(names: readonly string[]): Promise<number> {
  const unknown = names.filter((name) => !SUITES.some((suite) => suite.name === name));
  if (unknown.length > 0) {
    print(`Unknown suite ${unknown.join(", ")}; there are ${SUITES.map(({ name }) => name).join(", ")}`);
    return 1;
  }
  const total: Count = { passed: 0, failed: 0, skipped: 0 };
  const summary: string[] = [];
  const reasons: Reasons = new Map();
  const mark = crypto.randomUUID();
  Deno.env.set(RUN_MARK, mark);
  const before = leftovers(mark);
  for (const suite of SUITES.filter(({ name }) => names.length === 0 || names.includes(name))) {
    const started = performance.now();
    print(`\n== ${suite.name}`);
    const count = await runSuite(suite);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    summary.push(`${suite.name}: ${typeof count === "string" ? count : formatCount(count)} (${seconds} s)`);
    if (typeof count === "string") continue;
    add(total, count);
    for (const [why, times] of count.reasons ?? []) reasons.set(why, (reasons.get(why) ?? 0) + times);
  }
  const clean = await checkLeftovers(before, mark);
  summary.push(`leftovers: ${formatCount(clean)}`);
  add(total, clean);
  print(`\n${[...summary, ...formatReasons(reasons), formatCount(total)].join("\n")}`);
  return total.failed > 0 || total.passed === 0 ? 1 : 0;
}

if (import.meta.main) {
  Deno.chdir(root);
  Deno.exit(await main(Deno.args));
}
