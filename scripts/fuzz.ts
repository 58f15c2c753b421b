/**
 * Feeds everything that takes foreign words with words of all kinds, and says what broke.
 *
 * Usage: fuzz.ts [TARGET...] [--seconds N] [--inputs N] [--seed S] [--save NAME] [--refusals] [--list]
 *
 * `--seconds` is for each target; default: 30. The default seed is the clock's. A seed with a number, such as `7:1234`,
 * runs that one input; `--save` keeps it as `tests/fuzz/seeds/TARGET-NAME.json`, which `seeds_test.ts` runs from then on. `--refusals` shows
 * what inputs were refused for.
 *
 * @module
 */
import { type Finding, makeInput, type Report } from "../tests/fuzz/core/loop.ts";
import { encodeInput } from "../tests/fuzz/core/encode.ts";
import { slopeOf } from "../tests/fuzz/core/growth.ts";
import { formatFinding, type RunOptions, runTarget } from "../tests/fuzz/core/supervise.ts";
import type { AnyTarget } from "../tests/fuzz/core/target.ts";
import { targetNamed, TARGETS } from "../tests/fuzz/targets.ts";

const DEFAULT_SECONDS = 30;
const SHOWN_REFUSALS = 25;

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
          `Cannot use option "${name}": there are --seconds, --inputs, --seed, --save and --list`,
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

async function main(args: readonly string[]): Promise<number> {
  if (args.includes("--list")) {
    for (const { name, missing } of TARGETS) print([name, missing?.()].filter((word) => word !== undefined).join(": "));
    return 0;
  }
  const refusals = args.includes("--refusals");
  const { targets, options, save } = parseArguments(args.filter((word) => word !== "--refusals"));
  const findings: Finding[] = [];
  print(`seed ${options.seed}`);
  for (const target of targets) {
    const missing = target.missing?.();
    if (missing !== undefined) {
      print(`${target.name}: left out, ${missing}`);
      continue;
    }
    if (save !== undefined) saveInput(target, { name: save, seed: `${options.seed}:${options.from ?? 0}` });
    const report = await runTarget(target, options);
    print(formatReport(report));
    if (refusals) printRefusals(report);
    for (const finding of report.findings) print(formatFinding(finding));
    findings.push(...report.findings);
  }
  return findings.length === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
