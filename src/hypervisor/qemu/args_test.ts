import assert from "node:assert/strict";
import { defaultConfig, type QemuConfig } from "../../config/schema.ts";
import type { BlockDevice } from "../device.ts";
import { type Machine, qemuArgs } from "./args.ts";
import * as objects from "./device_objects.ts";

const ROOT: BlockDevice = { kind: "block", id: "root", path: "/k/root.erofs", readOnly: true };

function machine(change: Partial<Machine> = {}, qemu: Partial<QemuConfig> = {}): Machine {
  const config = { ...defaultConfig().hypervisor, kernel: "/k/vmlinux", machine_type: "q35" as const, ...qemu };
  return {
    id: "s1",
    config,
    accelerator: "tcg",
    firmware: "",
    append: "quiet panic=-1",
    kernel: "/proc/self/fd/5",
    qmpFd: 3,
    consoleFd: 4,
    fdSets: [],
    memory: { sizeMiB: 512, maxMiB: 512, slots: 0 },
    vcpus: { count: 1, max: 1 },
    devices: [],
    ...change,
  };
}

/** The values of one switch. */
function valuesOf(name: string, args: readonly string[]): string[] {
  return args.flatMap((arg, index) => arg === name ? [args[index + 1] ?? ""] : []);
}

/** One switch a line, as the snapshot shows it. */
function lines(args: readonly string[]): string[] {
  return args.join(" ").split(/ (?=-[a-z])/);
}

Deno.test("qemuArgs() of a pod on virtio-fs, with its agent on virtio-serial", async (t) => {
  const config = defaultConfig().hypervisor;
  const tag = { kind: "shareFs", id: "share", tag: "kataShared", source: "/share" } as const;
  const devices = [
    objects.virtioBlk(ROOT, { config, isHostDevice: false, fdSet: 1, slot: objects.onRootBus("01") }),
    objects.rng({ source: "/dev/urandom", slot: objects.onRootBus("02") }),
    objects.serialPort({ socketFd: "7", name: "agent.0", slot: objects.onRootBus("03") }),
    objects.shareFs(tag, { socketFd: "8", queueSize: 1024, slot: objects.onRootBus("04") }),
    objects.rootPort({ id: "rp0", number: 1, slot: objects.onRootBus("05") }),
  ];
  await t.assertSnapshot(
    lines(qemuArgs(machine({ firmware: "/q/qboot.rom", initrd: "/proc/self/fd/6", devices, fdSets: ["9"] }))),
  );
});

Deno.test("qemuArgs() of a pod on KVM with vhost-vsock, network and hotplug", async (t) => {
  const card = { kind: "net", id: "eth0", mac: "02:00:00:00:00:01", tapFds: [], vhostFds: [] } as const;
  const queues = { tap: ["3", "4"], vhost: ["5", "6"] };
  const devices = [
    objects.vhostVsock({ cid: 42, vhostFd: "7", slot: objects.onRootBus("01") }),
    objects.virtioNet(card, { queues, slot: objects.onRootBus("02") }),
    objects.scsiController(objects.onRootBus("03")),
    objects.vhostUserVsock({ socketFd: "8", slot: objects.onRootBus("04") }),
  ];
  const size = { memory: { sizeMiB: 2048, maxMiB: 8192, slots: 10 }, vcpus: { count: 1, max: 4 } };
  const args = qemuArgs(machine({ accelerator: "kvm", devices, ...size }));
  await t.assertSnapshot(lines(args));
});

Deno.test.each<{ qemu: Partial<QemuConfig>; name: string; value: string }>([
  { qemu: { seccomp_sandbox: "on,spawn=deny" }, name: "-sandbox", value: "on,spawn=deny" },
  { qemu: { cpu_features: "pmu=off" }, name: "-cpu", value: "qemu64,pmu=off" },
  {
    qemu: { enable_mem_prealloc: true },
    name: "-object",
    value: "memory-backend-memfd,id=mem,size=512M,share=on,prealloc=on",
  },
  {
    qemu: { enable_hugepages: true },
    name: "-object",
    value: "memory-backend-memfd,id=mem,size=512M,share=on,hugetlb=on,prealloc=on",
  },
  {
    qemu: { file_mem_backend: "/dev/shm" },
    name: "-object",
    value: "memory-backend-file,id=mem,size=512M,mem-path=/dev/shm,share=on",
  },
])("qemuArgs() with $qemu passes $name $value", ({ qemu, name, value }) => {
  assert.deepEqual(valuesOf(name, qemuArgs(machine({}, qemu))), [value]);
});

Deno.test("versions arm64: qemuArgs() of a machine of arm64 has no switch of a PC, and the key as a file of QEMU's", () => {
  const args = qemuArgs(machine({ hostKeyFile: "/proc/self/fd/9" }, { machine_type: "virt" }));
  assert.deepEqual(valuesOf("-machine", args), ["virt,gic-version=max,memory-backend=mem"]);
  assert.deepEqual(valuesOf("-cpu", args), ["max,pauth-impdef=on"]);
  assert.deepEqual(valuesOf("-smbios", args), []);
  assert.deepEqual(valuesOf("-fw_cfg", args), ["opt/org.katacontainers.host-key,file=/proc/self/fd/9"]);
  const onKvm = qemuArgs(machine({ accelerator: "kvm" }, { machine_type: "virt", cpu_features: "sve=off" }));
  assert.deepEqual(valuesOf("-cpu", onKvm), ["host,pmu=off,sve=off"]);
});

Deno.test("kvm: qemuArgs() on KVM gives no guest machines of its own, unless cpu_features says so behind it", () => {
  const features = (cpu_features: string) =>
    valuesOf("-cpu", qemuArgs(machine({ accelerator: "kvm" }, { machine_type: "q35", cpu_features })));
  assert.deepEqual(features(""), ["host,pmu=off,vmx=off,svm=off"]);
  assert.deepEqual(features("vmx=on"), ["host,pmu=off,vmx=off,svm=off,vmx=on"]);
});

Deno.test("qemuArgs() appends machine_accelerators to -machine", () => {
  const [value] = valuesOf("-machine", qemuArgs(machine({}, { machine_accelerators: "nosmm,pit=off" })));
  assert.match(value ?? "", /^q35,.*,memory-backend=mem,nosmm,pit=off$/);
});

Deno.test("B18, B19: blockNode() opens a read-only disk so on both nodes, and shares its locks", () => {
  const { hypervisor: config } = defaultConfig();

  assert.deepEqual(objects.blockNode(ROOT, { config, isHostDevice: false, fdSet: 1 }), {
    driver: "raw",
    "node-name": "drive-root",
    "read-only": true,
    "force-share": true,
    file: { driver: "file", filename: "/dev/fdset/1", aio: "threads", "read-only": true, "force-share": true },
  });
  const { devices } = objects.virtioBlk(ROOT, { config, isHostDevice: false, fdSet: 1, slot: objects.onPort("rp0") });
  assert.ok(!("share-rw" in devices[0]!));
});

Deno.test("B20: blockNode() obeys block_device_aio and the cache settings", () => {
  const config = {
    ...defaultConfig().hypervisor,
    block_device_aio: "io_uring",
    block_device_cache_set: true,
    block_device_cache_direct: true,
  } as const;
  const node = objects.blockNode({ ...ROOT, readOnly: false }, { config, isHostDevice: true, fdSet: 2 });
  const cache = { direct: true, "no-flush": false };
  assert.deepEqual(node, {
    driver: "raw",
    "node-name": "drive-root",
    cache,
    file: { driver: "host_device", filename: "/dev/fdset/2", aio: "io_uring", cache },
  });
});

Deno.test.each(
  [
    ["tcg", ["blk", "rng", "scsi", "serial"].map((kind) => `virtio-${kind}-pci.ioeventfd=off`)],
    ["kvm", []],
  ] as const,
)("qemuArgs() on %s: who is woken for the queues of devices", (accelerator, expected) => {
  assert.deepEqual(valuesOf("-global", qemuArgs(machine({ accelerator }))), expected);
});
