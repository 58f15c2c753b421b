/**
 * Rules of every {@linkcode Hypervisor}, as one suite for all: real ones, fakes that speak the protocol, and one with nothing
 * but the core. What a monitor lacks it says in `lacks`, with the reason.
 */
import assert from "node:assert/strict";
import { errorChain } from "../../base/error.ts";
import { box, disk, openDescriptors, pidOf, ready, started, type Subject, test } from "./conformance_box.ts";
import { templates } from "./conformance_templates.ts";
import { startTime } from "../process/pid_file.ts";
import type { VmConfig } from "../vm_config.ts";

/** Registers the suite's tests for one monitor. */
export function hypervisorConforms(subject: Subject): void {
  for (const register of [facets, lifecycle, ends, failures, hotplug, resize, templates]) register(subject);
}

function facets(subject: Subject): void {
  test(subject, "has the facets that it is not said to lack, and no other", async () => {
    await using made = box(subject, subject.vm("idles"));
    for (const facet of ["hotplug", "resize", "snapshot"] as const) {
      assert.equal(made.vm[facet] === undefined, subject.lacks?.[facet] !== undefined, facet);
    }
  });
}

function lifecycle(subject: Subject): void {
  test(subject, "starts, tells about itself, pauses, resumes and stops", async () => {
    await using made = await started(subject);
    const { vm } = made;
    const { pid, pids, vcpus, vcpuThreads = ["of its own"] } = await vm.info();
    assert.ok(pid === undefined || pids.includes(pid));
    assert.ok(pids.every((each) => startTime(each) !== undefined));
    assert.deepEqual([vcpus, vcpuThreads.length], [1, 1]);
    assert.match(vm.agentAddress(), /^(vsock|hvsock|serial|unix|remote):\/\//);
    await vm.pause();
    await vm.resume();
    await vm.stop();
    const { expected, reason } = await vm.wait();
    assert.ok(expected, reason);
    assert.ok(pids.every((each) => startTime(each) === undefined));
  });

  test(subject, "can be stopped and disposed again and again (B38)", async () => {
    await using made = await started(subject);
    await Promise.all([made.vm.stop(), made.vm.stop()]);
    await made.vm.stop();
    await made.vm[Symbol.asyncDispose]();
    await made.vm[Symbol.asyncDispose]();
  });

  test(subject, "leaves no descriptor behind", async () => {
    const rounds = Array.from({ length: 5 }, () => async () => {
      await using _made = await started(subject);
    });
    await rounds[0]!(); // what is opened once for good is open now
    const before = openDescriptors();
    for (const round of rounds) await round();
    assert.equal(openDescriptors(), before);
  });

  test(
    subject,
    { name: "keeps what its guest wrote to the console, after its end too", needs: ["console"] },
    async () => {
      await using made = await started(subject);
      await ready(made, subject.bootMs);
      await made.vm[Symbol.asyncDispose]();
      assert.ok(made.vm.consoleTail(10).some((line) => line.includes("guest ready")));
    },
  );

  test(subject, "cannot be asked before its start, nor started twice", async () => {
    await using fresh = box(subject, subject.vm("idles"));
    assert.throws(() => fresh.vm.agentAddress(), { code: "FAILED_PRECONDITION" });
    await using made = await started(subject);
    await assert.rejects(made.vm.start({ signal: AbortSignal.timeout(1_000) }), { code: "FAILED_PRECONDITION" });
  });
}

function ends(subject: Subject): void {
  test(subject, { name: "notices at once that its process was killed, and says so", needs: ["process"] }, async () => {
    await using made = await started(subject);
    Deno.kill(await pidOf(made.vm), "SIGKILL");
    const begin = performance.now();
    const { expected, reason } = await made.vm.wait();
    assert.match(reason, /was killed by SIGKILL/);
    assert.ok(!expected && performance.now() - begin < 1_000);
  });

  test(subject, { name: "takes a guest that powers off for a good end", needs: ["guest's end"] }, async () => {
    await using made = await started(subject, "powers off");
    assert.deepEqual(await made.vm.wait(), { expected: true, reason: "the guest powered off" });
  });

  test(subject, {
    name: "takes a guest that panics for a bad end, and shows the panic",
    needs: ["guest's end", "console"],
  }, async () => {
    await using made = await started(subject, "panics");
    const { expected, reason } = await made.vm.wait();
    assert.ok(!expected);
    assert.match(reason, /^the guest reset itself.*Kernel panic - not syncing/);
  });
}

const FAILURES: readonly { what: string; change?: Partial<VmConfig>; program?: string; says: RegExp }[] = [
  { what: "kernel is /no/such/kernel", change: { kernel: "/no/such/kernel" }, says: /\/no\/such\/kernel/ },
  { what: "program is /no/such/monitor", program: "/no/such/monitor", says: /\/no\/such\/monitor/ },
  {
    what: "program is /bin/false",
    program: "/bin/false",
    says: /^Cannot start the VM of sandbox "test": .*\w+ \(pid \d+\) exited with status 1$/,
  },
];

function failures(subject: Subject): void {
  for (const { what, change, program, says } of FAILURES) {
    const needs = program === undefined ? [] : ["process" as const];
    test(subject, { name: `names the cause when its ${what}, and leaves nothing (B46)`, needs }, async () => {
      await using made = box(subject, { ...subject.vm("idles"), ...change }, program === undefined ? {} : { program });
      await assert.rejects(made.vm.start({ signal: AbortSignal.timeout(5_000) }), (error) => {
        assert.match(errorChain(error), says);
        return true;
      });
      assert.deepEqual(made.files(), []);
    });
  }

  test(subject, "gives up its start with the signal, and leaves nothing", async () => {
    await using made = box(subject, subject.vm("idles"));
    const abort = new AbortController();
    const starting = made.vm.start({ signal: abort.signal });
    abort.abort(new Error("no longer wanted"));
    await assert.rejects(starting, (error) => errorChain(error).endsWith("no longer wanted"));
    assert.deepEqual(made.files(), []);
  });
}

const HOTPLUG = { needs: ["hotplug", "console"] } as const;

function hotplug(subject: Subject): void {
  test(
    subject,
    { ...HOTPLUG, name: "plugs a disk and takes it out again, twice in the same place (B22)" },
    async () => {
      await using made = await started(subject);
      await ready(made, subject.bootMs);
      const first = await made.vm.hotplug!.plug(disk("d1"));
      assert.deepEqual(made.vm.guestAddress("d1"), first);
      await made.vm.hotplug!.unplug("d1");
      assert.equal(made.vm.guestAddress("d1"), undefined);
      assert.deepEqual(await made.vm.hotplug!.plug(disk("d1")), first);
      await assert.rejects(made.vm.hotplug!.plug(disk("d1")), { code: "ALREADY_EXISTS" });
    },
  );

  test(subject, { ...HOTPLUG, name: "refuses to take out what was not plugged" }, async () => {
    await using made = await started(subject);
    await assert.rejects(made.vm.hotplug!.unplug("nobody"), { code: "NOT_FOUND" });
  });

  test(subject, { ...HOTPLUG, name: "gives a device's place back when plugging fails (B21)" }, async () => {
    await using made = await started(subject);
    const missing = { ...disk("gone"), path: "/no/such/disk" };
    await assert.rejects(made.vm.hotplug!.plug(missing), { message: 'Cannot plug block "gone"' });
    assert.equal(made.vm.guestAddress("gone"), undefined);
    await made.vm.hotplug!.plug(disk("d1"));
  });
}

function resize(subject: Subject): void {
  test(subject, { name: "grows while it runs, never shrinks, and knows its size", needs: ["resize"] }, async () => {
    const { size, ...vm } = subject.vm("idles");
    const { vcpus, memoryMiB } = size;
    const room = { maxVcpus: vcpus + 1, maxMemoryMiB: memoryMiB + 512 };
    await using made = box(subject, { ...vm, size: { ...size, ...room } });
    await made.vm.start({ signal: AbortSignal.timeout(10_000) });
    assert.equal(await made.vm.resize!.vcpus(vcpus + 1), vcpus + 1);
    const grown = await made.vm.resize!.memory(memoryMiB + 44);
    assert.ok(grown >= memoryMiB + 44 && grown <= room.maxMemoryMiB);
    assert.equal(await made.vm.resize!.memory(memoryMiB), grown);
    const info = await made.vm.info();
    assert.deepEqual([info.vcpus, info.memoryMiB], [vcpus + 1, grown]);
    await assert.rejects(made.vm.resize!.memory(room.maxMemoryMiB + 1), { code: "RESOURCE_EXHAUSTED" });
  });
}
