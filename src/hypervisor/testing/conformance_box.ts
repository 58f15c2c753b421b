/** Fixtures of the conformance tests of all monitors. */
import assert from "node:assert/strict";
import { createLogger } from "../../base/log.ts";
import { leftOut } from "../../base/testing/left_out.ts";
import type { BlockDevice } from "../device.ts";
import type { Hypervisor, HypervisorOptions } from "../hypervisor.ts";
import type { TemplateIdentity } from "../template.ts";
import type { VmConfig } from "../vm_config.ts";

/** Behaviour of a guest after it printed `guest ready` on its console. */
export type GuestHabit = "idles" | "powers off" | "panics";

/** Abilities that rules need and not every monitor has. */
export type Ability =
  /** Each VM is a process of this host. */
  | "process"
  /** It shows what the guest writes to its console. */
  | "console"
  /** It tells a guest that powers off from one that panics. */
  | "guest's end"
  | "hotplug"
  | "resize"
  | "snapshot";

/** One monitor under test. */
export interface Subject {
  name: string;
  /** A VM whose guest has this habit; of one vCPU and a size that it keeps. */
  vm(guest: GuestHabit): VmConfig;
  /** Makes a VM. @param program In place of the monitor's own. */
  create(vm: VmConfig, options: HypervisorOptions & { program?: string }): Hypervisor;
  /** Abilities that are missing, each with the reason, which the rules that need it are left out with. */
  lacks?: Readonly<Partial<Record<Ability, string>>>;
  /** Tells a template for such a VM from others; with "snapshot" only. */
  identify?(vm: VmConfig): TemplateIdentity;
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

/** Makes a VM, which is not started. */
export function box(
  { create }: Pick<Subject, "create">,
  config: VmConfig,
  options: Partial<Parameters<Subject["create"]>[1]> = {},
): Box {
  const runDir = Deno.makeTempDirSync({ prefix: "kata-vm-" });
  const log = createLogger({ sink: () => {} });
  const vm = create(config, { id: "test", runDir, log, ...options });
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
  const made = box(subject, subject.vm(guest));
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
  return { kind: "block", id, path: "/proc/self/exe", readOnly: true };
}

/** A rule of the suite, and the abilities without which it means nothing. */
export interface Rule {
  name: string;
  needs?: readonly Ability[];
}

/** Registers the test of one rule. */
export function test(
  { name, lacks = {}, ignore = false }: Subject,
  rule: string | Rule,
  fn: () => Promise<void>,
): void {
  const { name: words, needs = [] } = typeof rule === "string" ? { name: rule } : rule;
  const lacking = needs.find((ability) => lacks[ability] !== undefined);
  const title = `${name} ${words}`;
  Deno.test({ name: title, ignore: ignore || leftOut({ name: title }, lacking && lacks[lacking]), fn });
}
