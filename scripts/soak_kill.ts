/**
 * Lives of a sandbox in which somebody is killed at a random moment of its start, its run, an exec, or its stop. However
 * that ends, nothing hangs, after the removal nothing is left, and the same id starts again.
 *
 * @module
 */
import assert from "node:assert/strict";
import { errorChain } from "../src/base/error.ts";
import { Containerd, processesOf, type Release, releases, RUNTIME } from "../tests/interop/containerd.ts";
import { IMAGE } from "../tests/interop/image.ts";
import { SLEEP } from "../tests/interop/pod.ts";
import { added } from "./leftovers.ts";
import { attackCommand, hostileGuests } from "../tests/security/hostile_guest.ts";
import { until } from "../tests/support/wait.ts";

export const VICTIMS = ["shim", "VMM", "virtiofsd", "agent", "containerd"] as const;
export type Victim = typeof VICTIMS[number];

const PHASES = ["start", "run", "exec", "stop"] as const;
type Phase = typeof PHASES[number];

/** Death of a process: `moment` is the part of the phase, as long as it usually takes, that has passed by then. */
export interface Death {
  victim: Victim;
  phase: Phase;
  moment: number;
}

const PROGRAMS = { shim: "containerd-shim-kata", VMM: "qemu-system", virtiofsd: "/virtiofsd " } as const;
/** More than a VM that hangs has, and the engine's own waits. */
const HANGS_MS = 90_000;
const GONE_MS = 20_000;
const IDLE_MS = 300;
/** The part of a start that an agent lives through: before it the kernel boots. */
const AGENTS_PART = 0.4;

/** Outcome of a death. */
export interface Outcome {
  deaths: readonly Death[];
  /** Moments at which the victim was not there any more. */
  tooLate: number;
  /** One for each death after which something was wrong. */
  failures: readonly string[];
}

export interface KillOptions {
  /** Of each victim. */
  kills: number;
  seed: number;
  victims?: readonly Victim[];
  /** Default: the oldest that this machine has. */
  release?: Release;
  /** Called after each death. */
  progress?: (death: Death, failure: string | undefined) => void;
}

/** Kills each victim so many times, in the phases in turn; each victim begins with another one. */
export async function killRounds(options: KillOptions): Promise<Outcome> {
  const { kills, seed, victims = VICTIMS, release = releases()[0]!, progress } = options;
  const random = randomNumbers(seed);
  const outcome = { deaths: [] as Death[], tooLate: 0, failures: [] as string[] };
  for (const victim of victims) {
    await using lives = await Lives.start(victim, release);
    const count = () => outcome.deaths.filter((death) => death.victim === victim).length;
    for (let tries = 0; count() < kills && tries < 4 * kills; tries++) {
      const phase = PHASES[(tries + VICTIMS.indexOf(victim)) % PHASES.length]!;
      const death = { victim, phase, moment: random() };
      const result = await lives.live(death).catch((error) => errorChain(error));
      if (result === false) {
        outcome.tooLate++;
        continue;
      }
      outcome.deaths.push(death);
      const failure = typeof result === "string" ? `${JSON.stringify(death)}: ${result}` : undefined;
      if (failure !== undefined) {
        outcome.failures.push(failure);
        await lives.renew();
      }
      progress?.(death, failure);
    }
  }
  return outcome;
}

/** Sandboxes that have the same id, one after the other. */
class Lives implements AsyncDisposable {
  readonly #containerd: Containerd;
  readonly #settings: string;
  readonly #usualMs: Record<Phase, number> = { start: 0, run: 0, exec: 0, stop: 0 };
  #id: string;
  /** Remains of those that went wrong. */
  #known: readonly string[] = [];

  constructor(containerd: Containerd) {
    this.#containerd = containerd;
    this.#settings = Deno.readTextFileSync(this.#path);
    this.#id = containerd.id("kill");
  }

  get #path(): string {
    return `${this.#containerd.directory}/configuration.toml`;
  }

  /** Lives through one sandbox that nobody kills, to see how long its phases take. */
  static async start(victim: Victim, release: Release): Promise<Lives> {
    const configure = victim === "agent" ? hostileGuests() : (toml: string) => toml;
    const lives = new Lives(await Containerd.start({ release, configure }));
    for (const phase of PHASES) {
      const begin = performance.now();
      assert.ok(await lives.#go(phase), `${phase}: ${lives.#containerd.log().slice(-4000)}`);
      lives.#usualMs[phase] = performance.now() - begin;
    }
    await lives.#removed();
    return lives;
  }

  /**
   * Takes a new id: remains of one that went wrong may be in the way of the next ones, which are not blamed for them.
   */
  async renew(): Promise<void> {
    this.#known = await this.#containerd.remains();
    this.#id = this.#containerd.id("kill");
  }

  /** @returns Whether the victim was there to be killed. @throws What is wrong afterwards. */
  async live(death: Death): Promise<boolean> {
    for (const phase of PHASES.slice(0, PHASES.indexOf(death.phase))) {
      assert.ok(await this.#go(phase), `${phase}, before anybody was killed`);
    }
    const isKilled = death.victim === "agent" ? await this.#goWithoutAgent(death) : await this.#goWithout(death);
    await this.#removed();
    await this.#startsAgain();
    return isKilled;
  }

  /** An agent is its guest's first process, which only it can end: it is told before the phase when it has to. */
  async #goWithoutAgent({ phase, moment }: Death): Promise<boolean> {
    const dies = (_guest: unknown, ms: number) => void setTimeout(() => Deno.exit(1), ms);
    const ms = moment * this.#usualMs[phase];
    if (phase === "start") {
      Deno.writeTextFileSync(this.#path, hostileGuests(dies, ms * AGENTS_PART)(this.#settings));
    } else {
      await this.#exec(attackCommand(dies, ms));
    }
    await this.#go(phase);
    await until(() => processesOf(PROGRAMS.VMM, this.#id).length === 0);
    return true;
  }

  async #goWithout(death: Death): Promise<boolean> {
    const ended = new AbortController();
    const killing = this.#kill(death, ended.signal);
    await this.#go(death.phase);
    ended.abort();
    return await killing;
  }

  async #kill({ victim, phase, moment }: Death, ended: AbortSignal): Promise<boolean> {
    await new Promise((resolve) => setTimeout(resolve, moment * this.#usualMs[phase]));
    if (victim === "agent") return false; // see above
    if (victim === "containerd") {
      await within("containerd's start", this.#containerd.restart());
      return true;
    }
    for (;;) {
      const pids = processesOf(PROGRAMS[victim], this.#id);
      // virtiofsd is two processes, a shim too while it starts.
      if (pids.length > 0) return tryKill(pids[Math.floor(moment * pids.length)]!);
      if (ended.aborted) return false;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async #exec(script: string): Promise<string> {
    const name = `exec-${crypto.randomUUID()}`;
    return (await this.#ctr("task", "exec", "--exec-id", name, this.#id, "sh", "-c", script)).stdout;
  }

  /** @returns Whether it went as it should, which it need not once somebody was killed. */
  async #go(phase: Phase): Promise<boolean> {
    if (phase === "start") {
      return (await this.#ctr("run", "-d", "--runtime", RUNTIME, IMAGE, this.#id, "sh", "-c", SLEEP)).status === 0;
    }
    if (phase === "exec") {
      const name = `exec-${crypto.randomUUID()}`;
      const { stdout } = await this.#ctr(
        "task",
        "exec",
        "--exec-id",
        name,
        this.#id,
        "sh",
        "-c",
        "sleep 0.2; echo well",
      );
      return stdout === "well\n";
    }
    if (phase === "run") {
      await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
      return true;
    }
    await this.#ctr("task", "kill", "-s", "KILL", this.#id);
    return (await this.#ctr("task", "delete", "-f", this.#id)).status === 0;
  }

  async #removed(): Promise<void> {
    await within("the removal", this.#containerd.remove(this.#id));
    // ctr's own: it makes a snapshot before the container that would remove it.
    await this.#ctr("snapshots", "remove", this.#id);
    const left = async () => added(this.#known, await this.#containerd.remains());
    await until(async () => (await left()).length === 0, { ms: GONE_MS }).catch(async () => {
      assert.deepEqual(await left(), [], `left behind; ${this.#containerd.log().slice(-4000)}`);
    });
  }

  async #startsAgain(): Promise<void> {
    Deno.writeTextFileSync(this.#path, this.#settings);
    const run = () => this.#ctr("run", "--rm", "--runtime", RUNTIME, IMAGE, this.#id, "echo", "again");
    let result = await run();
    // An engine that has found a shim again forgets its task a moment after the shim's end.
    await until(async () => {
      if (!/task .*: already exists/.test(result.stderr)) return true;
      await this.#ctr("containers", "delete", this.#id);
      result = await run();
      return false;
    }, { ms: GONE_MS }).catch(() => {});
    assert.equal(result.stdout, "again\n", `the same id does not start again: ${result.stderr}`);
  }

  #ctr(...args: readonly string[]): ReturnType<Containerd["ctr"]> {
    return within(`ctr ${args.slice(0, 2).join(" ")}`, this.#containerd.ctr(...args));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#containerd[Symbol.asyncDispose]();
  }
}

function tryKill(pid: number): boolean {
  try {
    Deno.kill(pid, "SIGKILL");
    return true;
  } catch {
    return false; // it has just ended
  }
}

async function within<T>(what: string, promise: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`${what} hangs: waited ${HANGS_MS / 1000} s`)), HANGS_MS);
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Numbers from 0 to 1, the same for the same seed. @see https://en.wikipedia.org/wiki/Linear_congruential_generator */
export function randomNumbers(seed: number): () => number {
  let state = BigInt(seed);
  return () => {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    return Number(state >> 11n) / 2 ** 53;
  };
}
