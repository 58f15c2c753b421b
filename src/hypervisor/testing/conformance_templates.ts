/** Rules that each hypervisor must keep for templates: a part of the suite of `conformance_suite.ts`. */
import assert from "node:assert/strict";
import { createLogger } from "../../base/log.ts";
import { type Box, box, disk, openDescriptors, pidOf, ready, started, type Subject, test } from "./conformance_box.ts";
import { startTime } from "../process/pid_file.ts";
import { type Template, UnfinishedTemplate } from "../template.ts";
import type { VmConfig } from "../vm_config.ts";

/** A directory with the template of a guest that idles. */
export async function withTemplate(
  subject: Pick<Subject, "bootMs" | "create" | "identify">,
  vm: VmConfig,
  body: (root: string, template: Template) => Promise<void>,
): Promise<void> {
  const root = Deno.makeTempDirSync({ prefix: "kata-template-" });
  try {
    using unfinished = new UnfinishedTemplate(root);
    {
      await using made = box(subject, vm, { template: { kind: "make", directory: unfinished.directory } });
      await made.vm.start({ signal: AbortSignal.timeout(10_000) });
      await ready(made, subject.bootMs);
      await made.vm.pause();
      await made.vm.snapshot!.save();
    }
    await body(root, await unfinished.publish(subject.identify!(vm)));
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
}

/** Starts a VM that may use a template; `log` gets its records. */
async function startedFrom(
  root: string,
  { subject, vm = subject.vm("idles"), log = [] }: { subject: Subject; vm?: VmConfig; log?: string[] },
): Promise<Box> {
  const logger = createLogger({ sink: (line) => log.push(line) });
  const made = box(subject, vm, { template: { kind: "use", root }, log: logger });
  try {
    await made.vm.start({ signal: AbortSignal.timeout(20_000) });
  } catch (error) {
    await made[Symbol.asyncDispose]();
    throw error;
  }
  return made;
}

const SNAPSHOT = { needs: ["snapshot"] } as const;

/** Registers the tests for one monitor. */
export function templates(subject: Subject): void {
  templateTaken(subject);
  templateRefused(subject);
  test(subject, { ...SNAPSHOT, name: "cannot be saved unless it was started for that" }, async () => {
    await using made = await started(subject);
    await made.vm.pause();
    await assert.rejects(made.vm.snapshot!.save(), { code: "FAILED_PRECONDITION" });
  });
}

function templateTaken(subject: Subject): void {
  test(subject, { ...SNAPSHOT, name: "behaves as after a boot when it starts from a template (B41)" }, async () => {
    await withTemplate(subject, subject.vm("idles"), async (root) => {
      await using first = await startedFrom(root, { subject });
      await using second = await startedFrom(root, { subject });
      for (const { vm } of [first, second]) {
        assert.ok(vm.snapshot!.isRestored);
        const { vcpus, vcpuThreads, pids } = await vm.info();
        assert.deepEqual([vcpus, vcpuThreads!.length], [1, 1]);
        assert.ok(pids.includes(await pidOf(vm)));
        await vm.pause();
        await vm.resume();
        const address = await vm.hotplug!.plug(disk("d1"));
        assert.deepEqual(vm.guestAddress("d1"), address);
        await vm.hotplug!.unplug("d1");
      }
      Deno.kill(await pidOf(first.vm), "SIGKILL");
      const { expected, reason } = await first.vm.wait();
      assert.ok(!expected);
      assert.match(reason, /killed by SIGKILL/);
      await second.vm.stop();
      assert.ok((await second.vm.wait()).expected);
    });
  });

  test(subject, { ...SNAPSHOT, name: "leaves no descriptor behind when it starts from a template" }, async () => {
    await withTemplate(subject, subject.vm("idles"), async (root) => {
      const round = async () => {
        await using made = await startedFrom(root, { subject });
        assert.ok(made.vm.snapshot!.isRestored);
      };
      await round(); // what is opened once for good is open now
      const before = openDescriptors();
      for (let n = 0; n < 3; n++) await round();
      assert.equal(openDescriptors(), before);
    });
  });
}

function templateRefused(subject: Subject): void {
  test(
    subject,
    { ...SNAPSHOT, name: "boots if no template fits, and says in what the last one differs (B41)" },
    async () => {
      await withTemplate(subject, subject.vm("idles"), async (root) => {
        const { size: { memoryMiB, ...size }, ...vm } = subject.vm("idles");
        const larger = { ...size, memoryMiB: memoryMiB + 128, maxMemoryMiB: memoryMiB + 128 };
        const log: string[] = [];
        await using made = await startedFrom(root, { subject, vm: { ...vm, size: larger }, log });
        assert.ok(!made.vm.snapshot!.isRestored);
        assert.match(log.join(""), /"INFO".*none in .* fits; of the last one, memory is \d+ MiB, not \d+ MiB"/);
      });
    },
  );

  test(subject, { ...SNAPSHOT, name: "boots if its template turns out to be broken, with a warning" }, async () => {
    await withTemplate(subject, subject.vm("idles"), async (root, template) => {
      Deno.removeSync(`${template.directory}/state`);
      const log: string[] = [];
      await using made = await startedFrom(root, { subject, log });
      assert.ok(!made.vm.snapshot!.isRestored);
      assert.equal(log.filter((line) => /Cannot start from a template, so the machine boots/.test(line)).length, 1);
    });
  });

  test(subject, { ...SNAPSHOT, name: "boots if whoever starts it refuses what came from the template" }, async () => {
    await withTemplate(subject, subject.vm("idles"), async (root) => {
      await using made = box(subject, subject.vm("idles"), { template: { kind: "use", root } });
      const restored: number[] = [];
      const confirm = async () => {
        assert.ok(made.vm.snapshot!.isRestored);
        restored.push(await pidOf(made.vm));
        throw new Error("Cannot use it: its agent is silent");
      };
      await made.vm.start({ signal: AbortSignal.timeout(20_000), confirm });
      assert.ok(!made.vm.snapshot!.isRestored);
      assert.deepEqual(restored.map(startTime), [undefined]);
      assert.ok(startTime(await pidOf(made.vm)) !== undefined);
    });
  });
}
