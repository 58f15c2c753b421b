/** Fixtures of the conformance tests of all hypervisors. */
import assert from "node:assert/strict";
import { createLogger } from "../../base/log.ts";
import type { Config } from "../../config/schema.ts";
import { createHypervisor } from "../create.ts";
import type { BlockDevice } from "../device.ts";
import type { Hypervisor, HypervisorOptions } from "../hypervisor.ts";

/** Behaviour of a guest after it printed `guest ready` on its console. */
export type GuestHabit = "idles" | "powers off" | "panics";

/** One monitor under test. */
export interface Subject {
  name: string;
  /** A configuration whose guest has this habit. */
  config(guest: GuestHabit): Config;
  /** How long its guest may take to get ready. */
  bootMs: number;
  ignore?: boolean;
}

/** A VM in a run directory of its own; afterwards nothing of it may be left. */
export interface Box extends AsyncDisposable {
  vm: Hypervisor;
  runDir: string;
  files(): string[];
}

/** A VM with this configuration; `vm` is not started. */
export function box(config: Config, options: Partial<HypervisorOptions> = {}): Box {
  const runDir = Deno.makeTempDirSync({ prefix: "kata-vm-" });
  const log = createLogger({ sink: () => {} });
  const vm = createHypervisor(config, { id: "test", runDir, log, ...options });
  const files = () => [...Deno.readDirSync(runDir)].map(({ name }) => name);
  return {
    vm,
    runDir,
    files,
    async [Symbol.asyncDispose]() {
      await vm[Symbol.asyncDispose]();
      const left = files();
      Deno.removeSync(runDir, { recursive: true });
      assert.deepEqual(left, []);
    },
  };
}

export async function started(subject: Subject, guest: GuestHabit = "idles"): Promise<Box> {
  const made = box(subject.config(guest));
  try {
    await made.vm.start({ signal: AbortSignal.timeout(10_000) });
  } catch (error) {
    await made[Symbol.asyncDispose]();
    throw error;
  }
  return made;
}

export async function ready({ vm }: Box, withinMs: number): Promise<void> {
  for (const end = Date.now() + withinMs; !vm.consoleTail(50).some((line) => line.includes("guest ready"));) {
    assert.ok(Date.now() < end, `the guest is not ready; its console: ${vm.consoleTail(5).join(" | ")}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The monitor's process. */
export async function pidOf(vm: Hypervisor): Promise<number> {
  const { pid } = await vm.info();
  assert.ok(pid !== undefined, "the machine runs elsewhere");
  return pid;
}

export function openDescriptors(): number {
  return [...Deno.readDirSync("/proc/self/fd")].length;
}

export function disk(id: string): BlockDevice {
  return { kind: "block", id, path: "/proc/self/exe", readOnly: true, format: "raw" };
}

export function test({ name, ignore = false }: Subject, rule: string, fn: () => Promise<void>): void {
  Deno.test({ name: `${name} ${rule}`, ignore, fn });
}
