import assert from "node:assert/strict";
import { defaultConfig, type QemuConfig } from "../../config/schema.ts";
import type { BlockDevice } from "../device.ts";
import { type Machine, qemuArgs } from "./args.ts";
import * as parts from "./device_objects.ts";

const ROOT: BlockDevice = { kind: "block", id: "root", path: "/k/root.erofs", readOnly: true, format: "raw" };

function machine(change: Partial<Machine> = {}, qemu: Partial<QemuConfig> = {}): Machine {
  const config = { ...defaultConfig().hypervisor, kernel: "/k/vmlinux", ...qemu };
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
    parts.virtioBlk(ROOT, { config, isHostDevice: false, fdSet: 1, place: parts.onRootBus("01") }),
    parts.rng({ source: "/dev/urandom", place: parts.onRootBus("02") }),
    parts.serialPort({ socketFd: "7", name: "agent.0", place: parts.onRootBus("03") }),
    parts.shareFs(tag, { socketFd: "8", queueSize: 1024, place: parts.onRootBus("04") }),
    parts.rootPort({ id: "rp0", number: 1, place: parts.onRootBus("05") }),
  ];
  await t.assertSnapshot(
    lines(qemuArgs(machine({ firmware: "/q/qboot.rom", initrd: "/proc/self/fd/6", devices, fdSets: ["9"] }))),
  );
});

Deno.test("qemuArgs() of a pod on KVM with vhost-vsock, network and hotplug", async (t) => {
  const card = { kind: "net", id: "eth0", mac: "02:00:00:00:00:01", tapFds: [], vhostFds: [] } as const;
  const queues = { tap: ["3", "4"], vhost: ["5", "6"] };
  const devices = [
    parts.vhostVsock({ cid: 42, vhostFd: "7", place: parts.onRootBus("01") }),
    parts.virtioNet(card, { queues, place: parts.onRootBus("02") }),
    parts.scsiController(parts.onRootBus("03")),
    parts.vhostUserVsock({ socketFd: "8", place: parts.onRootBus("04") }),
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

Deno.test("qemuArgs() appends machine_accelerators to -machine", () => {
  const [value] = valuesOf("-machine", qemuArgs(machine({}, { machine_accelerators: "nosmm,pit=off" })));
  assert.match(value ?? "", /^q35,.*,memory-backend=mem,nosmm,pit=off$/);
});

Deno.test("B18, B19: blockNode() opens a read-only disk so on both nodes, and shares its locks", () => {
  const { hypervisor: config } = defaultConfig();
  const disk = { ...ROOT, format: "vmdk" } as const;
  assert.deepEqual(parts.blockNode(disk, { config, isHostDevice: false, fdSet: 1 }), {
    driver: "vmdk",
    "node-name": "drive-root",
    "read-only": true,
    "force-share": true,
    file: { driver: "file", filename: "/dev/fdset/1", aio: "threads", "read-only": true, "force-share": true },
  });
  const { devices } = parts.virtioBlk(disk, { config, isHostDevice: false, fdSet: 1, place: parts.onPort("rp0") });
  assert.ok(!("share-rw" in devices[0]!));
});

Deno.test("B20: blockNode() obeys block_device_aio and the cache settings", () => {
  const config = {
    ...defaultConfig().hypervisor,
    block_device_aio: "io_uring",
    block_device_cache_set: true,
    block_device_cache_direct: true,
  } as const;
  const node = parts.blockNode({ ...ROOT, readOnly: false }, { config, isHostDevice: true, fdSet: 2 });
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
