/**
 * Feeds everything that takes foreign words with words of all kinds, and says what broke.
 *
 * Usage: fuzz.ts [PLACE] [TARGET...] [--seconds N | --rounds] [--inputs N] [--seed S] [--save NAME] [--refusals]
 *        fuzz.ts [PLACE] --input FILE...
 *        fuzz.ts --list
 *
 * `--seconds` is for each target; default: 30. The default seed is the clock's. A seed with a number, such as `7:1234`,
 * runs that one input; `--save` keeps it as `tests/fuzz/seeds/TARGET-NAME.json`, which `seeds_test.ts` runs from then on. `--refusals` shows
 * what inputs were refused for. `--rounds` runs as many inputs as CI, `--input` one that was kept. Targets that could do
 * harm need a PLACE: `--vm` is a machine to throw away, `--throwaway` a root on this machine that goes with the run, which
 * is faster, but made by hand only.
 *
 * @module
 */
import { type Finding, makeInput, type Report } from "../tests/fuzz/core/loop.ts";
import { decodeInput, encodeInput } from "../tests/fuzz/core/encode.ts";
import { slopeOf } from "../tests/fuzz/core/growth.ts";
import { formatFinding, type RunOptions, runTarget } from "../tests/fuzz/core/supervise.ts";
import type { AnyTarget } from "../tests/fuzz/core/target.ts";
import { BOXED, targetNamed, TARGETS } from "../tests/fuzz/targets.ts";
import { proveThrowawayRoot, runInThrowawayRoot } from "../tests/fuzz/core/throwaway.ts";
import { ENDED, fuzzInMachine } from "../tests/vm/fuzz_machine.ts";

const DEFAULT_SECONDS = 30;
const SHOWN_REFUSALS = 25;
/** For the boot of an emulated machine, and for inputs that take their time at the end. */
const MACHINE_SECONDS = 600;
/** Options without a value. */
const WORDS: readonly string[] = ["--refusals", "--rounds"];

const SEEDS = new URL("../tests/fuzz/seeds/", import.meta.url);

interface Asked {
  save?: string;
  targets: readonly AnyTarget[];
  options: RunOptions;
}

/** @throws {RangeError} A word or number that is none of the usage. */
export function parseArguments(args: readonly string[]): Asked {
  const names: string[] = [];
  let seconds: number | undefined;
  let inputs: number | undefined;
  let save: string | undefined;
  let seed = String(Math.trunc(performance.timeOrigin));
  const words = args.values();
  for (const word of words) {
    const [name, inline] = word.split("=", 2);
    if (!name?.startsWith("--")) names.push(word);
    else {
      const value = inline ?? words.next().value ?? "";
      if (name === "--seed") seed = value;
      else if (name === "--save") save = value;
      else if (name === "--seconds") seconds = parseCount(name, value);
      else if (name === "--inputs") inputs = parseCount(name, value);
      else {throw new RangeError(
          `Cannot use option "${name}": there are --seconds, --rounds, --inputs, --seed, --save, --refusals, --input, --vm and --list`,
        );}
    }
  }
  const targets = names.length === 0 ? TARGETS : names.map(targetNamed);
  const [base = "", at] = seed.split(":", 2);
  if (at !== undefined) {
    const options = { seed: base, from: parseCount("--seed", at), inputs: 1 };
    return { targets, options, ...(save !== undefined && { save }) };
  }
  if (inputs !== undefined && seconds === undefined) return { targets, options: { seed, inputs } };
  return { targets, options: { seed, seconds: seconds ?? DEFAULT_SECONDS, ...(inputs !== undefined && { inputs }) } };
}

function parseCount(name: string, text: string): number {
  if (!/^\d+$/.test(text)) throw new RangeError(`Cannot use ${name} "${text}": expected a whole number`);
  return Number(text);
}

/** One line: amounts, the slowest input, memory at the start and at the end, and how it rises. */
export function formatReport(
  { target, inputs, taken, seconds, slowestMs, slowestSeed, samples, findings }: Report,
): string {
  const [first, last] = [samples[0], samples.at(-1)];
  const slope = slopeOf(samples, ({ rssMiB }) => rssMiB);
  const memory = first && last
    ? `RSS ${first.rssMiB.toFixed(0)} -> ${last.rssMiB.toFixed(0)} MiB, heap ${first.heapMiB.toFixed(0)} -> ${
      last.heapMiB.toFixed(0)
    } MiB`
    : "memory unknown";
  const rise = slope === undefined ? "" : ` (${slope.perThousand.toFixed(3)} MiB RSS in 1,000 inputs)`;
  return `${target}: ${inputs} inputs (${taken} taken) in ${seconds.toFixed(1)} s, slowest ${
    slowestMs.toFixed(0)
  } ms (${slowestSeed}), ${memory}${rise}, ${findings.length} findings`;
}

/** The input itself is kept, because a target that makes other inputs one day would lose it. */
function saveInput(target: AnyTarget, { name, seed }: { name: string; seed: string }): void {
  const path = new URL(`${target.name}-${name}.json`, SEEDS);
  Deno.writeTextFileSync(path, `{"target":"${target.name}","input":${encodeInput(makeInput(target, seed))}}\n`);
  print(`wrote ${path.pathname}`);
}

/** The most common ones: they tell how far inputs get. */
function printRefusals({ refusals }: Report): void {
  const rows = Object.entries(refusals).sort(([, a], [, b]) => b - a).slice(0, SHOWN_REFUSALS);
  for (const [words, count] of rows) print(`  ${String(count).padStart(7)}  ${words.split("\n")[0]}`);
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

/** Names of those that a place to throw away is for, if none are named. */
function boxedNames(args: readonly string[]): string[] {
  return args.includes("--input") || parseArguments(args.filter((word) => !WORDS.includes(word))).targets !== TARGETS
    ? []
    : BOXED.map(({ name }) => name);
}

/** Outside it makes the root; in it, it runs what is asked. */
async function runInRoot(args: readonly string[]): Promise<number> {
  await proveThrowawayRoot();
  const command = [Deno.execPath(), "run", "-A", "--no-lock", import.meta.filename!, ...args, ...boxedNames(args)];
  return await runInThrowawayRoot(command, { onText: (text) => Deno.stdout.writeSync(text) });
}

async function runInMachine(args: readonly string[]): Promise<number> {
  // The machine has the kept ones, in a place of its own.
  if (args[0] === "--input") return await inMachine(args.map((path) => path.replace(/^.*(?=seeds\/[^/]+$)/, "")), 0);
  const names = boxedNames(args);
  const { targets, options } = parseArguments([...args.filter((word) => !WORDS.includes(word)), ...names]);
  return await inMachine([...args, ...names], targets.length * (options.seconds ?? DEFAULT_SECONDS));
}

/** Runs it in the machine; its output comes as it is written. */
async function inMachine(args: readonly string[], seconds: number): Promise<number> {
  const text = await fuzzInMachine([args], {
    onText: (text) => Deno.stdout.writeSync(new TextEncoder().encode(text)),
    limitMs: (seconds + MACHINE_SECONDS) * 1000,
  });
  return Number(ENDED.exec(text)?.[1] ?? 1);
}

/** An input as `--save` keeps it. */
function readKept(path: string): { target: AnyTarget; options: RunOptions } {
  const { target, input } = decodeInput(Deno.readTextFileSync(path)) as { target: string; input: unknown };
  return { target: targetNamed(target), options: { seed: path, inputs: 1, input: encodeInput(input) } };
}

function list(): number {
  for (const { name, missing } of TARGETS) print([name, missing?.()].filter((word) => word !== undefined).join(": "));
  return 0;
}

async function main(args: readonly string[]): Promise<number> {
  if (args.includes("--list")) return list();
  if (args.includes("--vm")) return await runInMachine(args.filter((word) => word !== "--vm"));
  if (args.includes("--throwaway")) return await runInRoot(args.filter((word) => word !== "--throwaway"));
  if (args[0] === "--input") {
    const runs = args.slice(1).map(readKept);
    return await runAll(runs, { refusals: false });
  }
  const { targets, options, save } = parseArguments(args.filter((word) => !WORDS.includes(word)));
  if (save !== undefined) {
    for (const target of targets) saveInput(target, { name: save, seed: `${options.seed}:${options.from ?? 0}` });
  }
  print(`seed ${options.seed}`);
  const ofCI = ({ rounds }: AnyTarget) => ({ seed: options.seed, inputs: rounds });
  const runs = targets.map((target) => ({ target, options: args.includes("--rounds") ? ofCI(target) : options }));
  return await runAll(runs, { refusals: args.includes("--refusals") });
}

async function runAll(
  runs: readonly { target: AnyTarget; options: RunOptions }[],
  { refusals }: { refusals: boolean },
): Promise<number> {
  const findings: Finding[] = [];
  for (const { target, options } of runs) {
    const missing = target.missing?.();
    if (missing !== undefined) {
      print(`${target.name}: left out, ${missing}`);
      continue;
    }
    const report = await runTarget(target, options);
    print(formatReport(report));
    if (refusals) printRefusals(report);
    for (const finding of report.findings) print(formatFinding(finding));
    findings.push(...report.findings);
  }
  return findings.length === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
