import assert from "node:assert/strict";
import { onlineCpus, onlineMemory } from "./hotplug.ts";

const never = new AbortController().signal;

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

Deno.test("onlineCpus() brings in as many as were plugged, CPU 0 without a switch aside", async () => {
  const cpus = { "cpu/cpu0": "", "cpu/cpu1": "1\n", "cpu/cpu2": "0\n", "cpu/cpu3": "0\n", "cpu/cpufreq": "0\n" };
  await withSysfs(cpus, async (root) => {
    await onlineCpus(1, { root, signal: never });
    assert.equal([online(root, "cpu/cpu2"), online(root, "cpu/cpu3")].filter((text) => text === "1").length, 1);
    await onlineCpus(1, { root, signal: never });
    assert.deepEqual([online(root, "cpu/cpu2"), online(root, "cpu/cpu3")], ["1", "1"]);
    assert.equal(online(root, "cpu/cpufreq"), "0");
  });
});

Deno.test("onlineCpus() waits for a CPU that is yet to appear", async () => {
  await withSysfs({ "cpu/cpu0": "" }, async (root) => {
    const done = onlineCpus(1, { root, signal: never });
    Deno.mkdirSync(`${root}/cpu/cpu1`);
    Deno.writeTextFileSync(`${root}/cpu/cpu1/online`, "0");
    await done;
    assert.equal(online(root, "cpu/cpu1"), "1");
  });
});

Deno.test("onlineCpus() gives up with the signal", async () => {
  await withSysfs({ "cpu/cpu0": "" }, async (root) => {
    await assert.rejects(onlineCpus(1, { root, signal: AbortSignal.abort(new Error("gone")) }), { message: "gone" });
  });
});

Deno.test("onlineMemory() brings in every block, and takes a kernel without hotplug", async () => {
  await withSysfs({ "memory/memory0": "1", "memory/memory32": "0" }, (root) => {
    onlineMemory(root);
    assert.equal(online(root, "memory/memory32"), "1");
    onlineMemory(`${root}/none`);
    return Promise.resolve();
  });
});
