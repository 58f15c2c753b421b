/**
 * Runs the test suites one after the other and adds up what Deno counted: the last line is `N passed, N failed`.
 *
 * Usage: run_tests.ts [SUITE...]
 *
 * @module
 */

interface Count {
  passed: number;
  failed: number;
  skipped: number;
}

/** `commands`: each command is one test; `deno test`: the paths that exist, counted by Deno itself. */
type Suite =
  | { name: string; kind: "commands"; commands: string[][] }
  | { name: string; kind: "deno test"; paths: string[]; flags: string[]; env?: Record<string, string> };

const SHELL_SCRIPTS = ["build", "demo", "generate", "guest-image", "portable_head.sh", "prepare.sh", "test"].map((
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
    paths: ["src", "scripts", "tests/layers_test.ts", "tests/main_test.ts"],
    // One after the other: descriptors belong to the process, which parallel modules would share.
    flags: [],
  },
  { name: "build", kind: "deno test", paths: ["tests/build"], flags: [] },
  { name: "system", kind: "deno test", paths: ["tests/system"], flags: [] },
  // The black-box suite on the runtimes that everybody uses, so that the suite itself is tested.
  { name: "oci", kind: "deno test", paths: ["tests/oci"], flags: [], env: { RUNTIME: "runc" } },
  { name: "oci-crun", kind: "deno test", paths: ["tests/oci"], flags: [], env: { RUNTIME: "crun" } },
  { name: "vm", kind: "deno test", paths: ["tests/vm"], flags: [] },
  { name: "interop", kind: "deno test", paths: ["tests/interop"], flags: [] },
];

const root = new URL("..", import.meta.url).pathname;

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

async function runDenoTest({ paths, flags, env }: Suite & { kind: "deno test" }): Promise<Count> {
  const report = await Deno.makeTempFile({ prefix: "kata-junit-" });
  try {
    const success = await run(["deno", "test", "-A", ...flags, `--junit-path=${report}`, ...paths], env);
    const count = countJunit(await Deno.readTextFile(report));
    // A module that does not load, or a leak outside a test, fails the run without a failed test of its own.
    if (!success && count.failed === 0) count.failed = 1;
    return count;
  } finally {
    await Deno.remove(report);
  }
}

async function runSuite(suite: Suite): Promise<Count | undefined> {
  if (suite.kind === "commands") return await runCommands(suite.commands);
  const paths = suite.paths.filter((path) => holdsTests(`${root}/${path}`));
  return paths.length === 0 ? undefined : await runDenoTest({ ...suite, paths });
}

function holdsTests(path: string): boolean {
  if (path.endsWith("_test.ts")) return exists(path);
  if (!exists(path)) return false;
  return [...Deno.readDirSync(path)].some((entry) =>
    entry.isDirectory ? holdsTests(`${path}/${entry.name}`) : entry.name.endsWith("_test.ts")
  );
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

async function main(names: readonly string[]): Promise<number> {
  const total: Count = { passed: 0, failed: 0, skipped: 0 };
  const summary: string[] = [];
  for (const suite of SUITES.filter(({ name }) => names.length === 0 || names.includes(name))) {
    const started = performance.now();
    print(`\n== ${suite.name}`);
    const count = await runSuite(suite);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    summary.push(`${suite.name}: ${count === undefined ? "no tests yet" : formatCount(count)} (${seconds} s)`);
    for (const key of ["passed", "failed", "skipped"] as const) total[key] += count?.[key] ?? 0;
  }
  print(`\n${summary.join("\n")}\n${formatCount(total)}`);
  return total.failed > 0 || total.passed === 0 ? 1 : 0;
}

if (import.meta.main) {
  Deno.chdir(root);
  Deno.exit(await main(Deno.args));
}
