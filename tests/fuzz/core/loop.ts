/**
 * The process that runs one target: input after input, each named in the progress file before it is run, so that whoever
 * watches knows which one it was when there is no answer any more.
 *
 * Usage: loop.ts PLAN, the plan as JSON, see {@linkcode Plan}. Prints a {@linkcode Report} of JSON as its last line.
 *
 * @module
 */
import { errorChain } from "../../../src/base/error.ts";
import { targetNamed } from "../targets.ts";
import { decodeInput, encodeInput } from "./encode.ts";
import { findFault, signature } from "./faults.ts";
import { growthOf, type Sample } from "./growth.ts";
import { Random } from "./random.ts";
import type { AnyTarget, Scratch } from "./target.ts";
import { describeTree, plantWitness, watchPrototypes } from "./witness.ts";

export interface Plan {
  target: string;
  seed: string;
  /** The first input's number. */
  from: number;
  /** Ends after this many inputs, or after `seconds`. */
  inputs: number;
  seconds: number;
  /** An input to run instead, as `encode.ts` writes it. */
  input?: string;
  directory: string;
}

export interface Finding {
  kind: "fault" | "rejection" | "witness" | "growth" | "memory" | "hang" | "crash";
  target: string;
  /** `seed:number`, which makes the input again. */
  seed: string;
  what: string;
  /** Two findings with the same signature are one. */
  signature: string;
  input: string;
}

export interface Report {
  target: string;
  inputs: number;
  /** How many were taken, that is not refused. */
  taken: number;
  seconds: number;
  slowestMs: number;
  slowestSeed: string;
  findings: Finding[];
  samples: Sample[];
  /** How often inputs were refused, by the words: a target that is refused all the time tests little. */
  refusals: Record<string, number>;
}

/** The number of the input that is being run, and how many were taken. */
export const PROGRESS = "progress";
/** A finding of each line, for the case that the process itself is the next one. */
export const FINDINGS = "findings";
const WITNESS_EVERY = 64;
const MOST_FINDINGS = 12;
const MOST_REFUSALS = 1000;
const REFUSAL_TEXT = 120;
const DEFAULT_MEMORY_MIB = 384;
const encoder = new TextEncoder();

class Loop {
  readonly #plan: Plan;
  readonly #target: AnyTarget;
  readonly #scratch: Scratch;
  readonly #progress: Deno.FsFile;
  readonly #prototypes = watchPrototypes();
  readonly #tree: string;
  readonly #found = new Map<string, Finding>();
  readonly #samples: Sample[] = [];
  readonly #refusals = new Map<string, number>();
  #at: number;
  #taken = 0;
  #slowestMs = 0;
  #slowest = 0;

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#target = targetNamed(plan.target);
    this.#at = plan.from;
    this.#scratch = { inside: `${plan.directory}/inside`, outside: `${plan.directory}/outside` };
    Deno.mkdirSync(this.#scratch.inside, { recursive: true });
    plantWitness(this.#scratch.outside);
    this.#tree = describeTree(this.#scratch.outside);
    this.#progress = Deno.openSync(`${plan.directory}/${PROGRESS}`, { write: true, create: true });
    globalThis.addEventListener("unhandledrejection", (event) => {
      event.preventDefault();
      const error = event.reason instanceof Error ? event.reason : new Error(String(event.reason));
      this.#find("rejection", error);
    });
  }

  async run(): Promise<Report> {
    const { from, inputs, seconds } = this.#plan;
    const begin = performance.now();
    let nextSample = 0;
    this.#sample();
    for (; this.#at < from + inputs; this.#at++) {
      const now = performance.now();
      if (now - begin > seconds * 1000 || this.#found.size >= MOST_FINDINGS) break;
      await this.#one();
      if (this.#at % WITNESS_EVERY === 0) this.#checkWitness();
      if (now < nextSample) continue;
      this.#sample();
      nextSample = now + Math.max(500, seconds * 10);
    }
    // What was left under way may still fail.
    await new Promise((resolve) => setTimeout(resolve, 50));
    this.#checkWitness();
    this.#sample();
    const growth = growthOf(this.#samples);
    if (growth !== undefined) this.#find("growth", new Error(growth));
    return {
      target: this.#plan.target,
      inputs: this.#at - from,
      taken: this.#taken,
      seconds: (performance.now() - begin) / 1000,
      slowestMs: this.#slowestMs,
      slowestSeed: this.#seed(this.#slowest),
      findings: [...this.#found.values()],
      samples: this.#samples,
      refusals: Object.fromEntries(this.#refusals),
    };
  }

  async #one(): Promise<void> {
    this.#progress.seekSync(0, Deno.SeekMode.Start);
    this.#progress.writeSync(encoder.encode(`${this.#at} ${this.#taken}\n`.padStart(32)));
    const input = this.#input(this.#at);
    const begin = performance.now();
    try {
      const running = this.#target.run(input, this.#scratch);
      if (running instanceof Promise) await running;
      this.#taken++;
    } catch (error) {
      const fault = findFault(error);
      if (fault !== undefined) this.#find("fault", fault);
      else this.#countRefusal(error);
    }
    const ms = performance.now() - begin;
    if (ms > this.#slowestMs) [this.#slowestMs, this.#slowest] = [ms, this.#at];
    const polluted = this.#prototypes();
    if (polluted !== undefined) this.#find("witness", new Error(polluted));
  }

  #countRefusal(error: unknown): void {
    const words = errorChain(error).replace(/"[^"]*"|\/[\w/.-]+|\d+/g, "…").slice(0, REFUSAL_TEXT);
    if (this.#refusals.size < MOST_REFUSALS || this.#refusals.has(words)) {
      this.#refusals.set(words, (this.#refusals.get(words) ?? 0) + 1);
    }
  }

  #checkWitness(): void {
    const now = describeTree(this.#scratch.outside);
    if (now !== this.#tree) this.#find("witness", new Error(`the tree outside is now:\n${now}`));
  }

  #sample(): void {
    Reflect.get(globalThis, "gc")?.();
    const { rss, heapUsed, external } = Deno.memoryUsage();
    const mib = (bytes: number) => Math.round(bytes / 2 ** 18) / 4;
    const sample = { inputs: this.#at - this.#plan.from, rssMiB: mib(rss), heapMiB: mib(heapUsed + external) };
    this.#samples.push(sample);
    const grown = sample.rssMiB - this.#samples[0]!.rssMiB;
    const bound = this.#target.memoryMiB ?? DEFAULT_MEMORY_MIB;
    if (grown > bound) this.#find("memory", new Error(`the process holds ${grown} MiB more than at the start`));
  }

  #find(kind: Finding["kind"], error: Error): void {
    const mark = `${kind} ${kind === "fault" || kind === "rejection" ? signature(error) : ""}`;
    if (this.#found.has(mark)) return;
    const input = encodeInput(this.#input(this.#at));
    const what = `${error.name}: ${error.message}\n${error.stack ?? ""}`.slice(0, 3000);
    const target = this.#plan.target;
    const finding: Finding = { kind, target, seed: this.#seed(this.#at), what, signature: mark, input };
    this.#found.set(mark, finding);
    Deno.writeTextFileSync(`${this.#plan.directory}/${FINDINGS}`, `${JSON.stringify(finding)}\n`, { append: true });
  }

  #seed(at: number): string {
    return `${this.#plan.seed}:${at}`;
  }

  #input(at: number): unknown {
    if (this.#plan.input !== undefined) return decodeInput(this.#plan.input);
    return makeInput(this.#target, this.#seed(at));
  }
}

/** The input of a seed such as `7:1234`. */
export function makeInput(target: AnyTarget, seed: string): unknown {
  return target.make(new Random(seed));
}

if (import.meta.main) {
  // An input that is never answered must look so from outside, and not as an event loop that has nothing left to do.
  setInterval(() => {}, 1000);
  const report = await new Loop(JSON.parse(Deno.args[0]!)).run();
  Deno.stdout.writeSync(encoder.encode(`${JSON.stringify(report)}\n`));
  // Whatever the inputs left under way ends here.
  Deno.exit(0);
}
