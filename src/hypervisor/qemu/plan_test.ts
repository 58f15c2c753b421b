import assert from "node:assert/strict";
import { defaultConfig, type QemuConfig } from "../../config/schema.ts";
import { Fd } from "../../linux/io/fd.ts";
import { plainVm } from "../testing/vm.ts";
import type { VmConfig } from "../vm_config.ts";
import { qemuArgs } from "./args.ts";
import { type PlanInput, planMachine } from "./plan.ts";

const VM = plainVm({
  kernel: "/k/vmlinux",
  image: { path: "/k/root.erofs", fsType: "erofs" },
  kernelParams: { agent: ["agent.log=debug"], user: "" },
});

function input(
  { vm = {}, qemu = {}, ...change }: Omit<Partial<PlanInput>, "vm"> & {
    vm?: Partial<VmConfig>;
    qemu?: Partial<QemuConfig>;
  } = {},
): PlanInput {
  return {
    id: "s1",
    config: { ...defaultConfig().hypervisor, ...qemu },
    vm: { ...VM, ...vm },
    accelerator: "tcg",
    firmware: "",
    runDir: "/run/kata/s1",
    channel: { kind: "virtio-serial", socket: "/run/kata/s1/agent.sock" },
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
  const { machine, bus } = planMachine(input({ vm: { devices: [share] } }));
  const ids = machine.devices.map(({ devices }) => [devices[0]?.id, devices[0]?.addr ?? ""]);
  assert.deepEqual(ids, [
    ["root", "0x01"],
    ["serial0", "0x02"],
    ["rng-dev0", "0x03"],
    ["scsi0", "0x04"],
    ["share", "0x05"],
    ...Array.from({ length: 8 }, (_, port) => [`rp${port}`, port === 0 ? "0x06" : `0x06.${port}`]),
  ]);
  assert.equal(bus.path("share"), "05");
  assert.match(machine.append, /agent\.server_addr=serial:\/\/agent\.0/);
  assert.ok(qemuArgs(machine).includes("socket,id=char-share,fd=7"));
});

Deno.test("planMachine() gives the guest its own words, the agent's and those about the clock", () => {
  const { machine } = planMachine(input({ clockParams: ["tsc_early_khz=1"] }));
  assert.match(machine.append, /^root=\/dev\/vda .*console=ttyS0 .*tsc_early_khz=1 agent\.log=debug$/);
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
    input({ vm: { devices: [card] }, channel: { kind: "vsock", cid: 7 }, vhostVsock: vsock! }),
  );
  const inherited = fds.slice(1, 6).map(({ child, open }) => [child, open().number]); // after the image
  assert.deepEqual(inherited, [[6, 104], [7, 100], [8, 101], [9, 102], [10, 103]]);
  const args = qemuArgs(machine);
  assert.ok(args.includes("tap,id=netdev-eth0,fds=7:8,vhost=on,vhostfds=9:10"));
  assert.ok(args.includes("vhost-vsock-pci,id=vsock0,bus=pcie.0,addr=0x02,vhostfd=6,guest-cid=7"));
});

Deno.test("planMachine() leaves room to grow where a VM may", () => {
  const fixed = planMachine(input()).machine;
  assert.deepEqual([fixed.vcpus, fixed.memory], [{ count: 1, max: 1 }, { sizeMiB: 512, maxMiB: 512, slots: 0 }]);
  const size = { vcpus: 2, maxVcpus: 4, memoryMiB: 512, maxMemoryMiB: 4096 };
  const growing = planMachine(input({ vm: { size } })).machine;
  assert.deepEqual([growing.vcpus, growing.memory], [{ count: 2, max: 4 }, { sizeMiB: 512, maxMiB: 4096, slots: 10 }]);
});

Deno.test("planMachine() of an initrd alone has no disk and no SCSI controller it does not need", () => {
  const { image: _, ...vm } = VM;
  const { machine } = planMachine({
    ...input({ qemu: { block_device_driver: "virtio-blk-pci" } }),
    vm: { ...vm, initrd: "/i" },
  });
  assert.deepEqual(machine.devices.map(({ devices }) => devices[0]?.driver), [
    "virtio-serial-pci",
    "virtio-rng-pci",
    ...Array.from({ length: 8 }, () => "pcie-root-port"),
  ]);
});

Deno.test("versions arm64: planMachine() of arm64 has its console, no word of a PC, and the size of its start for good", () => {
  const size = { vcpus: 1, maxVcpus: 4, memoryMiB: 512, maxMemoryMiB: 4096 };
  const { machine } = planMachine(input({ vm: { size }, qemu: { machine_type: "virt" } }));
  assert.match(machine.append, / console=ttyAMA0 /);
  assert.doesNotMatch(machine.append, /i8042|tsc=/);
  assert.deepEqual([machine.vcpus, machine.memory], [{ count: 1, max: 1 }, { sizeMiB: 512, maxMiB: 512, slots: 0 }]);
});
