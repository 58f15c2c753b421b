/** QEMU itself, with a guest of a few system calls. Needs scripts/guest-image to have run, for the kernel. */
import assert from "node:assert/strict";
import { box } from "../../src/hypervisor/conformance_box.ts";
import { hypervisorConforms } from "../../src/hypervisor/conformance_suite.ts";
import { startTime } from "../../src/hypervisor/pid_file.ts";
import { createNetns } from "../../src/linux/namespace.ts";
import { config, directory, ignore, links, netCard } from "./tiny_guest.ts";

hypervisorConforms({ name: "Qemu", config, bootMs: 60_000, ignore });

Deno.test({
  name: "Qemu ends with its virtiofsd, whose end it names",
  ignore,
  async fn() {
    const share = { kind: "shareFs", id: "share", tag: "kataShared", source: directory } as const;
    await using made = box(config("idles"), { devices: [share] });
    await made.vm.start({ signal: AbortSignal.timeout(10_000) });
    assert.ok(made.vm.guestAddress("share"));
    const { pid, pids } = await made.vm.info();
    const daemon = pids.find((each) => each !== pid)!;
    Deno.kill(daemon, "SIGKILL");
    const { expected, reason } = await made.vm.wait();
    assert.ok(!expected);
    assert.match(reason, new RegExp(`^virtiofsd-share \\(pid ${daemon}\\) was killed by SIGKILL`));
    assert.equal(startTime(pid), undefined);
  },
});

Deno.test({
  name: "Qemu takes over taps of a network namespace, at the start and while it runs",
  ignore,
  async fn() {
    const path = `${directory}/netns`;
    using _netns = createNetns(path);
    const cold = netCard("eth0", { path, queues: 2 });
    await using made = box(config("idles"), { devices: [cold] });
    await made.vm.start({ signal: AbortSignal.timeout(10_000) });
    assert.deepEqual(made.vm.guestAddress("eth0"), { bus: "pci", path: "04" });
    assert.ok(cold.tapFds.every((fd) => !fd.isOpen));
    const hot = netCard("eth1", { path, queues: 1 });
    assert.deepEqual(await made.vm.plug(hot), { bus: "pci", path: "05/00" });
    assert.ok(hot.tapFds.every((fd) => !fd.isOpen));
    assert.deepEqual(links(path), ["eth0", "eth1"]);
    await made.vm.stop();
    assert.deepEqual(links(path), []); // a tap goes with its last descriptor
  },
});

Deno.test({
  name: "Qemu adds vCPUs and memory while it runs, and knows its size",
  ignore,
  async fn() {
    const growing = config("idles");
    growing.runtime.static_sandbox_resource_mgmt = false;
    Object.assign(growing.hypervisor, { default_maxvcpus: 2, default_maxmemory: 1024 });
    await using made = box(growing);
    await made.vm.start({ signal: AbortSignal.timeout(10_000) });
    assert.equal(await made.vm.resizeVcpus(2), 2);
    assert.equal(await made.vm.resizeMemory(300), 384);
    const { vcpus, vcpuThreads, memoryMiB } = await made.vm.info();
    assert.deepEqual([vcpus, vcpuThreads.length, memoryMiB], [2, 2, 384]);
  },
});
