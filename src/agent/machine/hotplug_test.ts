import assert from "node:assert/strict";
import { DeviceWaiter } from "../devices/waiter.ts";
import { FakeUevents } from "../devices/testing/fake_uevents.ts";
import { errorChain, errorCode } from "../../base/error.ts";
import { onlineCpus, onlineMemory, onlineMemoryFromNowOn, onlineNewMemory } from "./hotplug.ts";

const never = new AbortController().signal;

function options(root: string, signal: AbortSignal = never) {
  const uevents = new FakeUevents();
  return { root, signal, uevents, devices: new DeviceWaiter({ sys: root, listen: () => uevents.listen() }) };
}

async function withSysfs(online: Record<string, string>, use: (root: string) => Promise<void>): Promise<void> {
  const root = Deno.makeTempDirSync({ prefix: "kata-sysfs-" });
  try {
    for (const [path, text] of Object.entries(online)) {
      Deno.mkdirSync(`${root}/${path}`, { recursive: true });
      if (text !== "") Deno.writeTextFileSync(`${root}/${path}/online`, text);
    }
    await use(root);
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
}

function online(root: string, path: string): string {
  return Deno.readTextFileSync(`${root}/${path}/online`).trim();
}

Deno.test("wire W2: onlineCpus() brings in CPUs until so many are in use, of all, CPU 0 without a switch among them", async () => {
  const cpus = { "cpu/cpu0": "", "cpu/cpu1": "1\n", "cpu/cpu2": "0\n", "cpu/cpu3": "0\n", "cpu/cpufreq": "0\n" };
  await withSysfs(cpus, async (root) => {
    const none = options(root);
    await onlineCpus(2, none);
    assert.deepEqual([online(root, "cpu/cpu2"), online(root, "cpu/cpu3"), none.uevents.opened], ["0", "0", 0]);
    await onlineCpus(3, options(root));
    assert.equal([online(root, "cpu/cpu2"), online(root, "cpu/cpu3")].filter((text) => text === "1").length, 1);
    await onlineCpus(4, options(root));
    assert.deepEqual([online(root, "cpu/cpu2"), online(root, "cpu/cpu3")], ["1", "1"]);
    assert.equal(online(root, "cpu/cpufreq"), "0");
  });
});

Deno.test("onlineCpus() brings in each CPU as the kernel tells of it, and none that has its turn later", async () => {
  await withSysfs({ "cpu/cpu0": "" }, async (root) => {
    const { uevents, ...rest } = options(root);
    const done = onlineCpus(3, rest);
    for (const cpu of ["cpu1", "cpu2", "cpu3"]) {
      Deno.mkdirSync(`${root}/cpu/${cpu}`);
      Deno.writeTextFileSync(`${root}/cpu/${cpu}/online`, "0");
      await uevents.tell({ subsystem: "cpu", devPath: `/devices/system/cpu/${cpu}` });
    }
    await done;
    const states = ["cpu/cpu1", "cpu/cpu2", "cpu/cpu3"].map((cpu) => online(root, cpu));
    assert.deepEqual(states, ["1", "1", "0"]);
  });
});

Deno.test("onlineCpus() of none looks at nothing", async () => {
  const { uevents, ...rest } = options("/none");
  await onlineCpus(0, rest);
  await onlineCpus(-1, rest);
  assert.equal(uevents.opened, 0);
});

Deno.test("onlineCpus() says how many have appeared", async () => {
  await withSysfs({ "cpu/cpu0": "", "cpu/cpu1": "0" }, async (root) => {
    await assert.rejects(onlineCpus(3, { ...options(root), timeoutMs: 20 }), (error) => {
      assert.equal(errorCode(error), "DEADLINE_EXCEEDED");
      assert.match(errorChain(error), /3 CPUs into use: only 2 are there: .*there: /);
      return true;
    });
  });
});

Deno.test("onlineCpus() gives up with the signal", async () => {
  await withSysfs({ "cpu/cpu0": "" }, async (root) => {
    await assert.rejects(onlineCpus(2, options(root, AbortSignal.abort(new Error("gone")))), { message: "gone" });
  });
});

Deno.test("onlineMemory() brings in every block, and takes a kernel without hotplug", async () => {
  await withSysfs({ "memory/memory0": "1", "memory/memory32": "0", "memory/memory33": "0" }, async (root) => {
    assert.equal(onlineMemory(root), 2);
    assert.equal(online(root, "memory/memory32"), "1");
    assert.equal(onlineMemory(`${root}/none`), 0);
    await onlineNewMemory(options(`${root}/none`));
  });
});

Deno.test("onlineNewMemory() waits for memory that the kernel has yet to find, and says when there is none", async () => {
  await withSysfs({ "memory/memory0": "1" }, async (root) => {
    Deno.writeTextFileSync(`${root}/memory/auto_online_blocks`, "offline\n");
    const { uevents, ...rest } = options(root);
    const done = onlineNewMemory(rest);
    for (const block of ["memory32", "memory33"]) {
      Deno.mkdirSync(`${root}/memory/${block}`);
      Deno.writeTextFileSync(`${root}/memory/${block}/online`, "0");
    }
    await uevents.tell({ subsystem: "memory", devPath: "/devices/system/memory/memory32" });
    await done;
    assert.deepEqual([online(root, "memory/memory32"), online(root, "memory/memory33")], ["1", "1"]);
    const isLate = (error: unknown) => errorCode(error) === "DEADLINE_EXCEEDED";
    await assert.rejects(onlineNewMemory({ ...rest, timeoutMs: 20 }), isLate);
  });
});

Deno.test("onlineNewMemory() waits for nothing where the kernel takes memory into use by itself", async () => {
  await withSysfs({ "memory/memory0": "1" }, async (root) => {
    Deno.writeTextFileSync(`${root}/memory/auto_online_blocks`, "online\n");
    const { uevents, ...rest } = options(root);
    await onlineNewMemory(rest);
    assert.equal(uevents.opened, 0);
  });
});

Deno.test("kubernetes K2: onlineMemoryFromNowOn() brings in what is there, and has the kernel bring in what comes", async () => {
  await withSysfs({ "memory/memory0": "1", "memory/memory32": "0" }, async (root) => {
    const policy = `${root}/memory/auto_online_blocks`;
    Deno.writeTextFileSync(policy, "offline\n");
    onlineMemoryFromNowOn(root);
    assert.deepEqual([online(root, "memory/memory32"), Deno.readTextFileSync(policy)], ["1", "online"]);
    Deno.writeTextFileSync(policy, "online_movable\n");
    onlineMemoryFromNowOn(root);
    assert.equal(Deno.readTextFileSync(policy), "online_movable\n", "a policy of the image's own");
    onlineMemoryFromNowOn(`${root}/none`);
  });
});
