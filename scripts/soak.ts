/**
 * Whether anything grows, or is left behind, however often it is done, and whoever dies in between.
 *
 * Usage: soak.ts [--rounds N] [PART...]             parts: vm, pod, runk; 50 rounds of each unless told otherwise
 *        soak.ts kill [--kills N] [--seed S] [PART...]    parts: shim, VMM, virtiofsd, agent, containerd; N of each
 *
 * `--containerd VERSION` takes another release than the oldest that this machine has, such as 2.1.
 *
 * Called by `scripts/soak`. The exit status is 1 if a figure grows, or if something is left or hangs.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { errorChain } from "../src/base/error.ts";
import { Containerd, type Release, releases } from "../tests/interop/containerd.ts";
import { PodNode } from "../tests/interop/pod.ts";
import { Box } from "../tests/oci/runtime.ts";
import { print } from "./bench_report.ts";
import { type KillOptions, killRounds, VICTIMS } from "./soak_kill.ts";
import { MEASURED_SHIM, podRounds, type RoundOptions, runkRounds, vmRounds } from "./soak_rounds.ts";
import { describe, type Series } from "./soak_trend.ts";

const SHOW_EVERY = 10;

/** Options of a part: a release of containerd. */
interface PartOptions extends RoundOptions {
  release: Release;
}

const PARTS = {
  vm: async ({ release, ...options }) => {
    await using containerd = await Containerd.start({ release });
    return await vmRounds(containerd, options);
  },
  pod: async ({ release, ...options }) => {
    await using node = await PodNode.start({ release, env: MEASURED_SHIM });
    return await podRounds(node, options);
  },
  runk: async (options) => {
    await using box = new Box();
    return await runkRounds(box, options);
  },
} satisfies Record<string, (options: PartOptions) => Promise<Series>>;

/** @returns Whether nothing grew. */
async function soak(part: keyof typeof PARTS, options: Pick<PartOptions, "rounds" | "release">): Promise<boolean> {
  const { rounds } = options;
  const begin = performance.now();
  const seconds = () => ((performance.now() - begin) / 1000).toFixed(0);
  const progress = (round: number) => {
    if ((round + 1) % SHOW_EVERY === 0) print(`${part}: ${round + 1} rounds, ${seconds()} s`);
  };
  const series = await PARTS[part]({ ...options, progress });
  print(`\n${part}: ${rounds} rounds in ${seconds()} s; figures of the second half`);
  for (const { name, trend, isGrowing } of series.trends()) {
    print(`  ${isGrowing ? "GROWS " : ""}${name}: ${describe(trend)}`);
  }
  return series.growth().length === 0;
}

/** @returns Whether nothing was wrong after any death. */
async function kill(options: KillOptions): Promise<boolean> {
  const begin = performance.now();
  const { deaths, tooLate, failures } = await killRounds({
    ...options,
    progress: ({ victim, phase, moment }, failure) =>
      print(`${victim} killed in ${phase} at ${moment.toFixed(2)}: ${failure ?? "well"}`),
  });
  const seconds = ((performance.now() - begin) / 1000).toFixed(0);
  for (const victim of VICTIMS) {
    const phases = Object.groupBy(deaths.filter((death) => death.victim === victim), ({ phase }) => phase);
    const counts = Object.entries(phases).map(([phase, all]) => `${phase} ${all.length}`);
    if (counts.length > 0) print(`${victim}: ${counts.join(", ")}`);
  }
  print(
    `seed ${options.seed}: ${deaths.length} deaths in ${seconds} s, ${tooLate} too late, ${failures.length} failed`,
  );
  return failures.length === 0;
}

function chosen<P extends string>(names: readonly string[], parts: readonly P[]): readonly P[] {
  const unknown = names.filter((name) => !parts.some((part) => part === name));
  if (unknown.length > 0) throw new Error(`Cannot soak "${unknown.join(" ")}": the parts are ${parts.join(", ")}`);
  return names.length === 0 ? parts : parts.filter((part) => names.includes(part));
}

function releaseNamed(version: string): Release {
  const release = releases().find((one) => one.version === version);
  if (release !== undefined) return release;
  const versions = releases().map((one) => one.version).join(", ");
  throw new Error(`Cannot find containerd "${version}": this machine has ${versions || "none"}`);
}

function positive(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new Error(`Cannot take "${text}" for a number`);
  return Number(text);
}

async function main(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: "string", default: "50" },
      kills: { type: "string", default: "4" },
      seed: { type: "string", default: "1" },
      containerd: { type: "string", default: releases()[0]?.version ?? "" },
    },
    allowPositionals: true,
  });
  const release = releaseNamed(values.containerd);
  if (positionals[0] === "kill") {
    const victims = chosen(positionals.slice(1), VICTIMS);
    return await kill({ kills: positive(values.kills), seed: positive(values.seed), victims, release }) ? 0 : 1;
  }
  let isClean = true;
  for (const part of chosen(positionals, Object.keys(PARTS) as (keyof typeof PARTS)[])) {
    isClean = await soak(part, { rounds: positive(values.rounds), release }) && isClean;
  }
  return isClean ? 0 : 1;
}

if (import.meta.main) {
  Deno.exit(
    await main(Deno.args).catch((error) => {
      print(`soak: ${errorChain(error)}`);
      return 1;
    }),
  );
}
