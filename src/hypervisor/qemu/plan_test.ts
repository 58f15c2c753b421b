import assert from "node:assert/strict";
import { type Config, defaultConfig } from "../../config/schema.ts";
import { Fd } from "../../linux/io/fd.ts";
import { qemuArgs } from "./args.ts";
import { type PlanInput, planMachine } from "./plan.ts";

function input(change: Partial<PlanInput> = {}, qemu: Partial<Config["hypervisor"]> = {}): PlanInput {
  const config = defaultConfig();
  return {
    id: "s1",
    config: { ...config, hypervisor: { ...config.hypervisor, image: "/k/root.erofs", ...qemu } },
    accelerator: "tcg",
    firmware: "",
    runDir: "/run/kata/s1",
    devices: [],
    channel: { kind: "virtio-serial", socket: "/run/kata/s1/agent.sock" },
    kernelParams: [],
    isHostDevice: () => false,
    ...change,
  };
}

/** Descriptors that nobody opens or closes. */
function fakeFds(...numbers: number[]): Fd[] {
  return numbers.map((number) => new Fd(number));
}

Deno.test("planMachine() puts the image first, then what each VM has, then the pod's devices and free ports", () => {
  const share = { kind: "shareFs", id: "share", tag: "kataShared", source: "/share" } as const;
  const { machine, bus } = planMachine(input({ devices: [share] }));
  const ids = machine.devices.map(({ devices }) => [devices[0]?.id, devices[0]?.addr ?? ""]);
  assert.deepEqual(ids, [
    ["root", "0x01"],
    ["serial0", "0x02"],
    ["rng-dev0", "0x03"],
    ["scsi0", "0x04"],
    ["share", "0x05"],
    ["rp0", "0x06"],
  ]);
  assert.equal(bus.path("share"), "05");
  assert.match(machine.append, /agent\.server_addr=serial:\/\/agent\.0/);
  assert.ok(qemuArgs(machine).includes("socket,id=char-share,fd=7"));
});

Deno.test("planMachine() tells the agent how much to log", () => {
  const { config } = input();
  const { machine } = planMachine(input({ config: { ...config, agent: { ...config.agent, enable_debug: true } } }));
  assert.match(machine.append, / agent\.log=debug/);
});

Deno.test("planMachine() numbers the descriptors that QEMU inherits", () => {
  const [tap0, tap1, vhost0, vhost1, vsock] = fakeFds(100, 101, 102, 103, 104);
  const card = {
    kind: "net",
    id: "eth0",
    mac: "02:00:00:00:00:01",
    tapFds: [tap0!, tap1!],
    vhostFds: [vhost0!, vhost1!],
  } as const;
  const { machine, fds } = planMachine(
    input({ devices: [card], channel: { kind: "vsock", cid: 7 }, vhostVsock: vsock! }),
  );
  const inherited = fds.slice(1, 6).map(({ child, open }) => [child, open().number]); // after the image
  assert.deepEqual(inherited, [[6, 104], [7, 100], [8, 101], [9, 102], [10, 103]]);
  const args = qemuArgs(machine);
  assert.ok(args.includes("tap,id=netdev-eth0,fds=7:8,vhost=on,vhostfds=9:10"));
  assert.ok(args.includes("vhost-vsock-pci,id=vsock0,bus=pcie.0,addr=0x02,vhostfd=6,guest-cid=7"));
});

Deno.test("planMachine() sizes a VM once, unless resources are to follow the containers", () => {
  const qemu = { default_vcpus: 1.5, default_maxvcpus: 4, default_memory: 512, default_maxmemory: 4096 };
  const fixed = planMachine(input({}, qemu)).machine;
  assert.deepEqual([fixed.vcpus, fixed.memory], [{ count: 2, max: 2 }, { sizeMiB: 512, maxMiB: 512, slots: 0 }]);
  const asked = input({}, qemu);
  asked.config.runtime.static_sandbox_resource_mgmt = false;
  const growing = planMachine(asked).machine;
  assert.deepEqual([growing.vcpus, growing.memory], [{ count: 2, max: 4 }, { sizeMiB: 512, maxMiB: 4096, slots: 10 }]);
});

Deno.test("planMachine() of an initrd alone has no disk and no SCSI controller it does not need", () => {
  const { machine } = planMachine(input({}, { image: "", initrd: "/i", block_device_driver: "virtio-blk-pci" }));
  assert.deepEqual(machine.devices.map(({ devices }) => devices[0]?.driver), [
    "virtio-serial-pci",
    "virtio-rng-pci",
    "pcie-root-port",
  ]);
});
