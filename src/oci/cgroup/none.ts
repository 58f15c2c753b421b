/**
 * A container without a cgroup: what is left to a user who may not make one. It cannot be limited or paused; its
 * processes are those of its pid namespace.
 *
 * @module
 */
import { type CgroupLayout, parseCgroupMembership } from "../../linux/cgroup/cgroup.ts";
import { signalMembers } from "../../linux/cgroup/kill.ts";
import { SIGNALS } from "../../linux/process/signal.ts";
import type { Resources } from "../spec/spec.ts";
import type { Cgroup } from "./cgroup.ts";
import type { CgroupStats } from "./stats.ts";
import { reaches } from "./wait.ts";

const KILL_TIMEOUT_MS = 10_000;

export class NoCgroup implements Cgroup {
  readonly version = 1;
  readonly memoryPath = undefined;
  /** Cgroups of this program, in which its children stay. */
  readonly paths: Readonly<Record<string, string>>;
  readonly #pidOf: () => number;

  /** @param pidOf The first process while it runs, else 0. */
  constructor(layout: CgroupLayout, pidOf: () => number) {
    this.paths = ownPaths(layout);
    this.#pidOf = pidOf;
  }

  exists(): boolean {
    return true;
  }

  present(): string[] {
    return [];
  }

  create(): void {}

  /** @throws {Error} A limit is asked. Device rules are passed over: without rights for cgroups, nobody makes nodes. */
  apply({ devices: _, ...resources }: Resources): void {
    const asked = Object.entries(resources).filter(([, value]) => JSON.stringify(value) !== "{}").map(([name]) => name);
    if (asked.length > 0) throw this.#refusal(`limit ${asked.join(", ")}`);
  }

  #refusal(what: string): Error {
    return new Error(`Cannot ${what}: the container has no cgroup, as its creator may not make one`);
  }

  procsFiles(): string[] {
    return [];
  }

  members(): number[] {
    const own = namespaceOf("self");
    const inside = namespaceOf(this.#pidOf());
    if (inside === undefined) return [];
    if (inside === own) return [this.#pidOf()];
    const pids = [...Deno.readDirSync("/proc")].map(({ name }) => Number(name)).filter((pid) => pid > 0);
    return pids.filter((pid) => namespaceOf(pid) === inside).sort((a, b) => a - b);
  }

  isFrozen(): boolean {
    return false;
  }

  freeze(): Promise<void> {
    return Promise.reject(this.#refusal("pause"));
  }

  thaw(): Promise<void> {
    return Promise.reject(this.#refusal("resume"));
  }

  letDie(): void {}

  /** There is nothing that would tell: {@linkcode kill} looks at the processes. */
  removeIfEmpty(): boolean {
    return false;
  }

  async kill(): Promise<void> {
    const isEmpty = () => {
      signalMembers(() => this.members(), { signal: SIGNALS.SIGKILL });
      return this.members().length === 0;
    };
    if (await reaches(isEmpty, { timeoutMs: KILL_TIMEOUT_MS })) return;
    throw new Error(`Cannot end processes ${this.members().join(", ")}`);
  }

  stats(): CgroupStats {
    throw this.#refusal("count what it uses");
  }

  removeUnused(): Promise<string[]> {
    return Promise.resolve([]);
  }

  remove(): Promise<void> {
    return Promise.resolve();
  }
}

function ownPaths({ root, unified, v1 }: CgroupLayout): Record<string, string> {
  const memberships = parseCgroupMembership(Deno.readTextFileSync("/proc/self/cgroup"));
  const paths: Record<string, string> = {};
  for (const { hierarchy, controllers, path } of memberships) {
    if (hierarchy === 0) paths[""] = `${unified ?? root}${path}`;
    for (const name of controllers.map((one) => one.replace(/^name=/, ""))) {
      const mounted = v1.get(name);
      if (mounted !== undefined) paths[name] = `${mounted}${path}`;
    }
  }
  return paths;
}

/** undefined if the process has ended: a zombie has no namespaces any more. */
function namespaceOf(pid: number | "self"): string | undefined {
  try {
    return Deno.readLinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return undefined; // not ours to look at, or gone
  }
}
