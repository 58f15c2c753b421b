/** QEMU from a template, with what a sandbox plugs into it. Needs root and scripts/guest-image to have run. */
import assert from "node:assert/strict";
import { box, pidOf, ready } from "../../src/hypervisor/testing/conformance_box.ts";
import { withTemplate } from "../../src/hypervisor/testing/conformance_templates.ts";
import { startTime } from "../../src/hypervisor/process/pid_file.ts";
import { UnfinishedTemplate } from "../../src/hypervisor/template.ts";
import { createNetns } from "../../src/linux/process/namespace.ts";
import { directory, GROWING, ignore, links, netCard, SUBJECT, vm } from "./tiny_guest.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;
const SHARE = { kind: "shareFs", id: "share", tag: "kataShared", source: directory } as const;

Deno.test({
  name: "a share and a card are plugged into a VM from a template, and go with it",
  ignore,
  async fn() {
    const path = `${directory}/netns`;
    using _netns = createNetns(path);
    await withTemplate(SUBJECT, vm("idles"), async (root) => {
      const card = netCard("eth0", { path, queues: 2 });
      await using made = box(SUBJECT, vm("idles", { devices: [SHARE, card] }), { template: { kind: "use", root } });
      await made.vm.start({ signal: AbortSignal.timeout(10_000) });
      assert.ok(made.vm.snapshot!.isRestored);
      assert.deepEqual(["share", "eth0"].map((id) => made.vm.guestAddress(id)), [
        { bus: "tag", tag: "kataShared" },
        { bus: "pci", path: "03.1/00" },
      ]);
      assert.ok(card.tapFds.every((fd) => !fd.isOpen));
      assert.equal((await made.vm.info()).pids.length, 2);
      await made.vm.stop();
      assert.deepEqual(links(path), []); // a tap goes with its last descriptor
    });
  },
});

Deno.test({
  name: "a VM that boots because its template was refused has its card all the same",
  ignore,
  async fn() {
    const path = `${directory}/netns`;
    using _netns = createNetns(path);
    await withTemplate(SUBJECT, vm("idles"), async (root) => {
      const card = netCard("eth0", { path, queues: 1 });
      await using made = box(SUBJECT, vm("idles", { devices: [card] }), { template: { kind: "use", root } });
      const confirm = () => Promise.reject(new Error("Cannot use it"));
      await made.vm.start({ signal: AbortSignal.timeout(20_000), confirm });
      assert.ok(!made.vm.snapshot!.isRestored);
      assert.deepEqual(links(path), ["eth0"]);
      await made.vm.stop();
      assert.deepEqual(links(path), []);
    });
  },
});

Deno.test({
  name: "a shared directory is plugged into a running VM and taken out, and its daemon with it",
  ignore,
  async fn() {
    await using made = box(SUBJECT, vm("idles"));
    await made.vm.start({ signal: AbortSignal.timeout(10_000) });
    await ready(made, 60_000);
    await made.vm.hotplug!.plug(SHARE);
    assert.equal((await made.vm.info()).pids.length, 2);
    await made.vm.hotplug!.unplug("share");
    assert.equal((await made.vm.info()).pids.length, 1);
    await made.vm.hotplug!.plug(SHARE);
  },
});

Deno.test({
  name: "F14: QEMU that makes a template is a user of its own too, and has of its files the memory alone",
  ignore,
  async fn() {
    const root = Deno.makeTempDirSync({ prefix: "kata-template-" });
    {
      using unfinished = new UnfinishedTemplate(root);
      await using made = box(SUBJECT, vm("idles"), { template: { kind: "make", directory: unfinished.directory } });
      await made.vm.start({ signal: AbortSignal.timeout(10_000) });
      await ready(made, 60_000);
      const owners = Object.fromEntries(
        [...Deno.readDirSync(unfinished.directory)].map(({ name }) => {
          const { uid, mode } = Deno.lstatSync(`${unfinished.directory}/${name}`);
          return [name, { uid, mode: mode! & 0o777 }];
        }),
      );
      const [, uid] = /^Uid:\t(\d+)/m.exec(Deno.readTextFileSync(`/proc/${await pidOf(made.vm)}/status`))!;
      assert.ok(Number(uid) >= 0x70000000, `uid ${uid}`);
      assert.deepEqual(owners["memory"], { uid: Number(uid), mode: 0o600 });
      assert.deepEqual(Object.entries(owners).filter(([name, { uid }]) => name !== "memory" && uid !== 0), []);
    }
    Deno.removeSync(root);
  },
});

Deno.test({
  name: "a VM from a template grows as one that has booted",
  ignore,
  async fn() {
    const growing = vm("idles", { size: GROWING });
    await withTemplate(SUBJECT, growing, async (root) => {
      await using made = box(SUBJECT, growing, { template: { kind: "use", root } });
      await made.vm.start({ signal: AbortSignal.timeout(10_000) });
      assert.ok(made.vm.snapshot!.isRestored);
      assert.equal(await made.vm.resize!.vcpus(2), 2);
      assert.equal(await made.vm.resize!.memory(300), 384);
      const { vcpus, vcpuThreads, memoryMiB } = await made.vm.info();
      assert.deepEqual([vcpus, vcpuThreads!.length, memoryMiB], [2, 2, 384]);
    });
  },
});

Deno.test({
  name: "kata-runtime factory init that is interrupted leaves no machine and no files behind",
  ignore,
  async fn() {
    const home = Deno.makeTempDirSync({ dir: directory });
    const { kernel, initrd } = vm("idles");
    const guest = `kernel = "${kernel}"\ninitrd = "${initrd}"\ndefault_memory = 256\nvirtio_fs_daemon = "/bin/true"\n`;
    const toml = `[hypervisor.qemu]\n${guest}[factory]\ntemplate_path = "${home}/templates"\n`;
    Deno.writeTextFileSync(`${home}/configuration.toml`, toml);
    const args = ["run", "-A", "--no-check", "--cached-only", MAIN, "kata-runtime"];
    args.push("--config", `${home}/configuration.toml`, "factory", "init");
    const child = new Deno.Command(Deno.execPath(), { args, stdin: "null", stderr: "piped" }).spawn();
    const pid = await pidOfMachine(`${home}/templates`);
    child.kill("SIGINT");
    const [{ code }, words] = await Promise.all([child.status, new Response(child.stderr).text()]);
    assert.equal(code, 1);
    assert.match(words, /^kata-runtime: .*it was interrupted\n$/);
    assert.equal(startTime(pid), undefined);
    assert.deepEqual([...Deno.readDirSync(`${home}/templates`)], []);
  },
});

/** The monitor of the machine that is being made; its agent never answers. */
async function pidOfMachine(root: string): Promise<number> {
  for (;;) {
    for (const { name } of directoriesIn(root)) {
      const record = readIfThere(`${root}/${name}/qemu.pid`);
      if (record !== undefined && record !== "") return Number(record.split(" ")[0]);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function directoriesIn(path: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(path)];
  } catch {
    return [];
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return undefined;
  }
}
