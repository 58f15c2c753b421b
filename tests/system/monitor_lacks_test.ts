/** A sandbox on a monitor that lacks something: it says what, of which monitor, and leaves nothing. Needs root. */
import assert from "node:assert/strict";
import { createLogger } from "../../src/base/log.ts";
import { leftOutUnlessRoot } from "../../src/base/testing/left_out.ts";
import { defaultConfig } from "../../src/config/schema.ts";
import { requireAbilities } from "../../src/hypervisor/create.ts";
import { coreDriver } from "../../src/hypervisor/testing/core_monitor.ts";
import { type Fd, pathOf } from "../../src/linux/io/fd.ts";
import { Rtnetlink } from "../../src/linux/net/rtnetlink.ts";
import { enterNetns, newNetns } from "../../src/linux/process/namespace.ts";
import type { SandboxOptions } from "../../src/sandbox/options.ts";
import { Sandbox } from "../../src/sandbox/sandbox.ts";
import { FakeAgent, FakeVm } from "./fake_agent.ts";

const ignore = leftOutUnlessRoot(import.meta);

/** Directories of one sandbox, and its options. */
function box(makeHypervisor: SandboxOptions["makeHypervisor"], netns: Fd) {
  const directory = Deno.makeTempDirSync({ prefix: "kata-lacks-" });
  const roots = { run: `${directory}/run`, shared: `${directory}/shared` };
  for (const root of Object.values(roots)) Deno.mkdirSync(root, { mode: 0o700 });
  const options: SandboxOptions = {
    ...{ id: "s1", roots, type: "pod_sandbox", owner: { address: "", namespace: "" } },
    config: defaultConfig(),
    log: createLogger({ sink: () => {} }),
    spec: { ociVersion: "1.2.0", linux: { namespaces: [{ type: "network", path: pathOf(netns) }] } },
    ...(makeHypervisor && { makeHypervisor }),
  };
  return {
    directory,
    options,
    [Symbol.dispose]() {
      for (const root of Object.values(roots)) assert.deepEqual([...Deno.readDirSync(root)], []);
      Deno.removeSync(directory, { recursive: true });
    },
  };
}

Deno.test({
  name: "Sandbox.create() refuses a monitor that cannot share a directory, by name",
  ignore,
  async fn() {
    using netns = newNetns();
    using made = box((config, vm, options) => {
      assert.equal(config.kind, "qemu");
      requireAbilities(coreDriver(), { vm, options });
      throw new Error("it was not refused");
    }, netns);
    await assert.rejects(Sandbox.create(made.options), {
      code: "UNIMPLEMENTED",
      message: 'Cannot give a VM shareFs "shared": monitor "core" has no such device',
    });
  },
});

Deno.test({
  name: "Sandbox.joinLateLinks() refuses a late link of a monitor without hotplug, by name, and keeps no tap open",
  ignore,
  async fn() {
    using netns = newNetns();
    const directory = Deno.makeTempDirSync({ prefix: "kata-lacks-agent-" });
    {
      await using agent = new FakeAgent(directory);
      using made = box(() => new FakeVm(agent.address), netns);
      await using sandbox = await Sandbox.create(made.options);
      await sandbox.joinLateLinks();
      addLink(netns);
      const before = openTaps();
      await assert.rejects(sandbox.joinLateLinks(), {
        code: "UNIMPLEMENTED",
        message: 'Cannot plug network card "net0": monitor "fake" takes no device while its VM runs',
      });
      assert.deepEqual(openTaps(), before);
      await sandbox.stop();
    }
    Deno.removeSync(directory, { recursive: true });
  },
});

/** Puts a link with an address into a namespace. */
function addLink(netns: Fd): void {
  using _ = enterNetns(netns);
  using netlink = new Rtnetlink();
  netlink.addLink({ kind: "veth", name: "eth0", peer: { name: "peer0", netns } });
  for (const [at, name] of ["eth0", "peer0"].entries()) {
    const { index } = netlink.link(name);
    netlink.changeLink(index, { up: true });
    if (at === 0) netlink.addAddress({ link: index, address: "10.88.0.2/24" });
  }
}

function openTaps(): readonly string[] {
  const paths = [...Deno.readDirSync("/proc/self/fd")].map(({ name }) => {
    try {
      return Deno.readLinkSync(`/proc/self/fd/${name}`);
    } catch {
      return ""; // the directory itself
    }
  });
  return paths.filter((path) => path === "/dev/net/tun");
}
