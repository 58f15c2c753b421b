/** Runs a target in a process of its own and watches it from outside: a loop without an end stops all of that process. @module */
import { exists } from "../../../src/base/files.ts";
import { boxed, type BoxedCommand } from "./box.ts";
import { encodeInput } from "./encode.ts";
import { type Finding, FINDINGS, makeInput, type Plan, PROGRESS, type Report } from "./loop.ts";
import type { AnyTarget } from "./target.ts";

const LOOK_EVERY_MS = 250;
const DEFAULT_BOUND_MS = 30_000;
const START_MS = 60_000;
/** Where files cost no disk. */
const MEMORY = "/dev/shm";
const LAST_WORDS = 2000;
const MOST_FINDINGS = 4;
/** Length of an input's printed beginning, in characters. */
const SHOWN_INPUT = 1500;
/** Beside this file, also where both are bundled for a machine that has no sources. */
const loop = new URL(import.meta.url.endsWith(".js") ? "loop.js" : "loop.ts", import.meta.url).pathname;

export interface RunOptions {
  seed: string;
  /** Default: without an end. */
  inputs?: number;
  /** Default: an hour. */
  seconds?: number;
  /** Number of the first input. Default: 0. */
  from?: number;
  /** One input to run instead, as text. */
  input?: string;
}

/** Runs until the inputs or the seconds are used up; after a hang or a crash it goes on with the input after it. */
export async function runTarget(target: AnyTarget, options: RunOptions): Promise<Report> {
  const { inputs = Number.MAX_SAFE_INTEGER, seconds = 3600, from = 0, seed, input } = options;
  const total = emptyReport(target.name);
  let at = from;
  while (at < from + inputs && total.seconds < seconds) {
    const left = { inputs: from + inputs - at, seconds: seconds - total.seconds };
    const { report, stoppedAt } = await runOnce(target, {
      target: target.name,
      seed,
      from: at,
      ...left,
      ...(input && { input }),
    });
    addReport(total, report);
    if (stoppedAt === undefined || total.findings.length >= MOST_FINDINGS) break;
    at = stoppedAt + 1;
  }
  return total;
}

interface Outcome {
  report: Report;
  /** The input that brought the process to an end or to a halt. */
  stoppedAt?: number;
}

async function runOnce(target: AnyTarget, plan: Omit<Plan, "directory">): Promise<Outcome> {
  const directory = await Deno.makeTempDir({
    prefix: `kata-fuzz-${target.name}-`,
    ...(exists(MEMORY) && { dir: MEMORY }),
  });
  try {
    using command = commandOf(target, { ...plan, directory });
    const child = new Deno.Command(command.command, {
      args: [...command.args],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      env: { NO_COLOR: "1" },
    }).spawn();
    const begin = performance.now();
    const stopWatching = new AbortController();
    const watching = watch(child, { directory, target, signal: stopWatching.signal });
    const output = await child.output();
    stopWatching.abort();
    const hang = await watching;
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    if (hang === undefined && output.success) {
      // An input may name our own output as the file to write.
      const line = text(output.stdout).trim().split("\n").at(-1)!;
      return { report: JSON.parse(line.slice(line.indexOf('{"target":'))) };
    }
    const stoppedAt = readProgress(directory) ?? plan.from;
    const words = text(output.stderr).slice(-LAST_WORDS);
    const what = hang ?? `the process ended with ${output.signal ?? output.code}: ${words}`;
    const finding = describe(target, plan, { kind: hang === undefined ? "crash" : "hang", at: stoppedAt, what });
    const seconds = (performance.now() - begin) / 1000;
    const { taken, findings } = readRemains(directory);
    const inputs = stoppedAt + 1 - plan.from;
    return {
      report: { ...emptyReport(target.name), inputs, taken, seconds, findings: [...findings, finding] },
      stoppedAt,
    };
  } finally {
    removeTree(directory);
  }
}

function commandOf(target: AnyTarget, plan: Plan): BoxedCommand {
  const flags = ["--v8-flags=--expose-gc,--stack-trace-limit=30", "--no-lock", "-A"];
  const [command, ...args] = [Deno.execPath(), "run", ...flags, loop, JSON.stringify(plan)];
  if (target.isBoxed) return boxed([command, ...args]);
  return { command, args, [Symbol.dispose]: () => {} };
}

interface WatchOptions {
  directory: string;
  target: AnyTarget;
  signal: AbortSignal;
}

/** Ends the process when one input takes too long. @returns Why, or undefined if it ended by itself. */
async function watch(
  child: Deno.ChildProcess,
  { directory, target, signal }: WatchOptions,
): Promise<string | undefined> {
  const boundMs = target.boundMs ?? DEFAULT_BOUND_MS;
  let seen: number | undefined;
  let since = performance.now();
  while (!signal.aborted) {
    await pause(LOOK_EVERY_MS, signal);
    const at = readProgress(directory);
    if (at !== seen) [seen, since] = [at, performance.now()];
    const allowed = at === undefined ? Math.max(boundMs, START_MS) : boundMs;
    if (performance.now() - since <= allowed) continue;
    child.kill("SIGKILL");
    return `no answer within ${allowed / 1000} s`;
  }
  return undefined;
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  signal.addEventListener("abort", () => resolve(), { once: true });
  if (!signal.aborted) await promise;
  clearTimeout(timer);
}

function readProgress(directory: string): number | undefined {
  const text = readIfThere(`${directory}/${PROGRESS}`).trim();
  return text === "" ? undefined : Number(text.split(" ")[0]);
}

/** Reads what a process that came to a bad end had done before. */
function readRemains(directory: string): Pick<Report, "taken" | "findings"> {
  const lines = readIfThere(`${directory}/${FINDINGS}`).split("\n").filter((line) => line !== "");
  const taken = Number(readIfThere(`${directory}/${PROGRESS}`).trim().split(" ")[1] ?? 0);
  return { taken, findings: lines.map((line) => JSON.parse(line)) };
}

function readIfThere(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}

interface End {
  kind: Finding["kind"];
  at: number;
  what: string;
}

function describe(target: AnyTarget, plan: Omit<Plan, "directory">, { kind, at, what }: End): Finding {
  const seed = `${plan.seed}:${at}`;
  const input = plan.input ?? inputOf(target, seed);
  return { kind, target: target.name, seed, what, signature: kind, input };
}

/** Makes the input once more; making it may have been what stopped the process. */
function inputOf(target: AnyTarget, seed: string): string {
  try {
    return encodeInput(makeInput(target, seed));
  } catch (error) {
    return `"cannot be made again: ${error}"`;
  }
}

function emptyReport(target: string): Report {
  return {
    target,
    inputs: 0,
    taken: 0,
    seconds: 0,
    slowestMs: 0,
    slowestSeed: "",
    findings: [],
    samples: [],
    refusals: {},
  };
}

function addReport(total: Report, part: Report): void {
  total.inputs += part.inputs;
  total.taken += part.taken;
  total.seconds += part.seconds;
  if (part.slowestMs > total.slowestMs) [total.slowestMs, total.slowestSeed] = [part.slowestMs, part.slowestSeed];
  total.findings.push(...part.findings);
  total.samples.push(...part.samples);
  for (const [words, count] of Object.entries(part.refusals)) {
    total.refusals[words] = (total.refusals[words] ?? 0) + count;
  }
}

/** Removes what inputs made: it may be deep, and without rights for others, but it is ours. */
function removeTree(directory: string): void {
  try {
    Deno.removeSync(directory, { recursive: true });
  } catch {
    new Deno.Command("rm", { args: ["-rf", "--", directory] }).outputSync();
  }
}

/** A finding as people read it, with the way to have it again. */
export function formatFinding({ kind, target, seed, what, input }: Finding): string {
  const shown = input.length > SHOWN_INPUT ? `${input.slice(0, SHOWN_INPUT)}… (${input.length} characters)` : input;
  const again = `again: scripts/fuzz ${target} --seed ${seed}`;
  return `${kind} in ${target}, seed ${seed}\n  ${what.split("\n").join("\n  ")}\n  ${again}\n  input: ${shown}`;
}
