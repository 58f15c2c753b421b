/** Rules of every {@linkcode Hypervisor}, as one suite for all: real ones, and fakes that speak the protocol. */
import assert from "node:assert/strict";
import { errorChain } from "../../base/error.ts";
import { box, disk, openDescriptors, pidOf, ready, started, type Subject, test } from "./conformance_box.ts";
import { templates } from "./conformance_templates.ts";
import { startTime } from "../common/pid_file.ts";

/** Registers the suite's tests for one monitor. */
export function hypervisorConforms(subject: Subject): void {
  for (const register of [lifecycle, ends, failures, hotplug, templates]) register(subject);
}

function lifecycle(subject: Subject): void {
  test(subject, "starts, tells about itself, pauses, resumes and stops", async () => {
    await using made = await started(subject);
    const { vm } = made;
    const info = await vm.info();
    assert.ok(info.pids.includes(await pidOf(vm)));
    assert.ok(info.pids.every((pid) => startTime(pid) !== undefined));
    assert.deepEqual([info.vcpus, info.vcpuThreads!.length], [1, 1]);
    assert.match(vm.agentAddress(), /^(vsock|hvsock|serial):\/\//);
    await vm.pause();
    await vm.resume();
    await vm.stop();
    const { expected, reason } = await vm.wait();
    assert.ok(expected, reason);
    assert.ok(info.pids.every((pid) => startTime(pid) === undefined));
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

  test(subject, "keeps what its guest wrote to the console, after its end too", async () => {
    await using made = await started(subject);
    await ready(made, subject.bootMs);
    await made.vm[Symbol.asyncDispose]();
    assert.ok(made.vm.consoleTail(10).some((line) => line.includes("guest ready")));
  });

  test(subject, "cannot be asked before its start, nor started twice", async () => {
    await using fresh = box(subject.config("idles"));
    assert.throws(() => fresh.vm.agentAddress(), { code: "FAILED_PRECONDITION" });
    await using made = await started(subject);
    await assert.rejects(made.vm.start({ signal: AbortSignal.timeout(1_000) }), { code: "FAILED_PRECONDITION" });
  });
}

function ends(subject: Subject): void {
  test(subject, "notices at once that its process was killed, and says so", async () => {
    await using made = await started(subject);
    Deno.kill(await pidOf(made.vm), "SIGKILL");
    const begin = performance.now();
    const { expected, reason } = await made.vm.wait();
    assert.match(reason, /was killed by SIGKILL/);
    assert.ok(!expected && performance.now() - begin < 1_000);
  });

  test(subject, "takes a guest that powers off for a good end", async () => {
    await using made = await started(subject, "powers off");
    assert.deepEqual(await made.vm.wait(), { expected: true, reason: "the guest powered off" });
  });

  test(subject, "takes a guest that panics for a bad end, and shows the panic", async () => {
    await using made = await started(subject, "panics");
    const { expected, reason } = await made.vm.wait();
    assert.ok(!expected);
    assert.match(reason, /^the guest reset itself.*Kernel panic - not syncing/);
  });
}

function failures(subject: Subject): void {
  const missing: readonly { key: "kernel" | "path"; path: string; says: RegExp }[] = [
    { key: "kernel", path: "/no/such/kernel", says: /kernel "\/no\/such\/kernel": ENOENT$/ },
    { key: "path", path: "/no/such/monitor", says: /path "\/no\/such\/monitor": ENOENT$/ },
    {
      key: "path",
      path: "/bin/false",
      says: /^Cannot start the VM of sandbox "test": \w+ \(pid \d+\) exited with status 1$/,
    },
  ];
  for (const { key, path, says } of missing) {
    test(subject, `names the cause when its ${key} is ${path}, and leaves nothing (B46)`, async () => {
      const config = subject.config("idles");
      config.hypervisor[key] = path;
      await using made = box(config);
      await assert.rejects(made.vm.start({ signal: AbortSignal.timeout(5_000) }), (error) => {
        assert.match(errorChain(error), says);
        return true;
      });
      assert.deepEqual(made.files(), []);
    });
  }

  test(subject, "gives up its start with the signal, and leaves nothing", async () => {
    await using made = box(subject.config("idles"));
    const abort = new AbortController();
    const starting = made.vm.start({ signal: abort.signal });
    abort.abort(new Error("no longer wanted"));
    await assert.rejects(starting, (error) => errorChain(error).endsWith("no longer wanted"));
    assert.deepEqual(made.files(), []);
  });
}

function hotplug(subject: Subject): void {
  test(subject, "plugs a disk and takes it out again, twice in the same place (B22)", async () => {
    await using made = await started(subject);
    await ready(made, subject.bootMs);
    const first = await made.vm.hotplug!.plug(disk("d1"));
    assert.deepEqual(made.vm.guestAddress("d1"), first);
    await made.vm.hotplug!.unplug("d1");
    assert.equal(made.vm.guestAddress("d1"), undefined);
    assert.deepEqual(await made.vm.hotplug!.plug(disk("d1")), first);
    await assert.rejects(made.vm.hotplug!.plug(disk("d1")), { code: "ALREADY_EXISTS" });
  });

  test(subject, "refuses to take out what was not plugged", async () => {
    await using made = await started(subject);
    await assert.rejects(made.vm.hotplug!.unplug("nobody"), { code: "NOT_FOUND" });
  });

  test(subject, "gives a device's place back when plugging fails (B21)", async () => {
    await using made = await started(subject);
    const missing = { ...disk("gone"), path: "/no/such/disk" };
    await assert.rejects(made.vm.hotplug!.plug(missing), { message: 'Cannot plug block "gone"' });
    assert.equal(made.vm.guestAddress("gone"), undefined);
    await made.vm.hotplug!.plug(disk("d1"));
  });
}
