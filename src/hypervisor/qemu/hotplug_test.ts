import assert from "node:assert/strict";
import { errorChain } from "../../base/error.ts";
import { createLogger } from "../../base/log.ts";
import { defaultConfig, type QemuConfig } from "../../config/schema.ts";
import { type Fd, memfd } from "../../linux/io/fd.ts";
import type { BlockDevice, NetDevice } from "../device.ts";
import { PcieTopology } from "../common/topology.ts";
import { type Command, fakeQmp } from "./testing/fake_qmp.ts";
import { QemuHotplug } from "./hotplug.ts";
import { Qmp } from "./qmp/qmp.ts";

const DISK: BlockDevice = { kind: "block", id: "d1", path: "/images/d1", readOnly: true };

interface BoxOptions {
  /** Commands that QEMU refuses. */
  refuses?: readonly string[];
  /** Commands that QEMU does not answer. */
  ignores?: readonly string[];
  /** Whether the guest lets go of devices. */
  letsGo?: boolean;
  qemu?: Partial<QemuConfig>;
}

/** A hotplug with two ports over a monitor that records what it is told. */
async function box({ refuses = [], ignores = [], letsGo = true, qemu = {} }: BoxOptions = {}) {
  const commands: Command[] = [];
  const wire = fakeQmp((command, say) => {
    commands.push(command);
    const { execute, arguments: args, id } = command;
    if (ignores.includes(execute)) return;
    if (refuses.includes(execute)) return say({ error: { class: "GenericError", desc: `no ${execute} today` }, id });
    say({ return: execute === "add-fd" ? { "fdset-id": 7, fd: 42 } : {}, id });
    if (execute === "device_del" && letsGo) say({ event: "DEVICE_DELETED", data: { device: args.id } });
  });
  const qmp = await Qmp.open(wire, AbortSignal.timeout(2_000));
  const bus = new PcieTopology();
  bus.addPort();
  bus.addPort();
  const config = { ...defaultConfig().hypervisor, block_device_driver: "virtio-blk-pci" as const, ...qemu };
  const log = createLogger({ sink: () => {} });
  const open = { disk: ({ path }: BlockDevice) => memfd(path), share: memfd };
  return {
    commands,
    names: () => commands.map(({ execute }) => execute),
    hotplug: new QemuHotplug({ qmp, bus, config, runDir: "/run/kata/s1", log, open, isHostDevice: () => false }),
    [Symbol.asyncDispose]: () => qmp[Symbol.asyncDispose](),
  };
}

function soon(): AbortSignal {
  return AbortSignal.timeout(2_000);
}

Deno.test("B18, B19: QemuHotplug.plug() adds a read-only disk on a free port", async () => {
  await using made = await box();
  assert.deepEqual(await made.hotplug.plug(DISK, soon()), { bus: "pci", path: "01/00" });
  const access = { "read-only": true, "force-share": true };
  assert.deepEqual(made.commands.map(({ execute, arguments: args }) => [execute, args]), [
    ["add-fd", {}],
    ["blockdev-add", {
      driver: "raw",
      "node-name": "drive-d1",
      ...access,
      file: { driver: "file", filename: "/dev/fdset/7", aio: "threads", ...access },
    }],
    ["device_add", { driver: "virtio-blk-pci", id: "d1", bus: "rp0", addr: "0x0", drive: "drive-d1" }],
  ]);
});

Deno.test("B23: QemuHotplug.plug() gives disks of the SCSI controller an id each, and tells it", async () => {
  await using made = await box({ qemu: { block_device_driver: "virtio-scsi" } });
  assert.deepEqual(await made.hotplug.plug(DISK, soon()), { bus: "scsi", id: 0, lun: 0 });
  assert.deepEqual(await made.hotplug.plug({ ...DISK, id: "d2" }, soon()), { bus: "scsi", id: 1, lun: 0 });
  await made.hotplug.unplug("d1", soon());
  assert.deepEqual(await made.hotplug.plug({ ...DISK, id: "d3" }, soon()), { bus: "scsi", id: 0, lun: 0 });
  assert.equal(made.commands.at(-1)?.arguments.bus, "scsi0.0");
});

Deno.test("B21: QemuHotplug.plug() removes the node again when QEMU refuses the front end", async () => {
  await using made = await box({ refuses: ["device_add"] });
  await assert.rejects(made.hotplug.plug(DISK, soon()), (error) => {
    assert.equal(errorChain(error), 'Cannot plug block "d1": no device_add today');
    return true;
  });
  assert.deepEqual(made.names(), ["add-fd", "blockdev-add", "device_add", "blockdev-del", "remove-fd"]);
  assert.equal(made.hotplug.address("d1"), undefined);
});

Deno.test("B22: QemuHotplug.unplug() waits for the guest before it removes the node", async () => {
  await using made = await box();
  await made.hotplug.plug(DISK, soon());
  await made.hotplug.unplug("d1", soon());
  const added = ["add-fd", "blockdev-add", "device_add"];
  assert.deepEqual(made.names(), [...added, "device_del", "blockdev-del", "remove-fd"]);
  assert.equal(made.hotplug.address("d1"), undefined);
});

Deno.test("B22: QemuHotplug.unplug() is bounded when the guest does not let go, and keeps the device", async () => {
  await using made = await box({ letsGo: false });
  await made.hotplug.plug(DISK, soon());
  await assert.rejects(made.hotplug.unplug("d1", AbortSignal.timeout(50)), (error) => {
    assert.match(errorChain(error), /^Cannot unplug block "d1": the guest did not let go of it/);
    return true;
  });
  assert.deepEqual(made.names().slice(3), ["device_del"]);
  assert.ok(made.hotplug.address("d1"));
});

Deno.test("B22: QemuHotplug.unplug() gives the slot back even if the node stays, then reports", async () => {
  await using made = await box({ refuses: ["blockdev-del"] });
  await made.hotplug.plug(DISK, soon());
  await assert.rejects(made.hotplug.unplug("d1", soon()), (error) => {
    assert.equal(errorChain(error), 'Cannot unplug block "d1": no blockdev-del today');
    return true;
  });
  assert.equal(made.hotplug.address("d1"), undefined);
  assert.deepEqual(await made.hotplug.plug({ ...DISK, id: "d2" }, soon()), { bus: "pci", path: "01/00" });
});

Deno.test("QemuHotplug.plug() passes a card's queues to QEMU and closes them here", async () => {
  await using made = await box();
  const fds = [memfd("tap"), memfd("vhost")] as const;
  const card: NetDevice = { kind: "net", id: "eth0", mac: "02:00:00:00:00:01", tapFds: [fds[0]], vhostFds: [fds[1]] };
  await made.hotplug.plug(card, soon());
  assert.deepEqual(made.names(), ["getfd", "getfd", "netdev_add", "device_add"]);
  const { fds: tap, vhostfds } = made.commands[2]!.arguments;
  assert.deepEqual([tap, vhostfds], ["tap-eth0-0", "vhost-eth0-0"]);
  assert.ok(fds.every((fd: Fd) => !fd.isOpen));
  await made.hotplug.unplug("eth0", soon());
  assert.deepEqual(made.names().slice(4), ["device_del", "netdev_del"]);
});

Deno.test("QemuHotplug.plug() of a card that QEMU refuses removes its back end and closes its queues", async () => {
  await using made = await box({ refuses: ["device_add"] });
  const tap = memfd("tap");
  const card: NetDevice = { kind: "net", id: "eth0", mac: "02:00:00:00:00:01", tapFds: [tap], vhostFds: [] };
  await assert.rejects(made.hotplug.plug(card, soon()), { message: 'Cannot plug net "eth0"' });
  assert.deepEqual(made.names(), ["getfd", "netdev_add", "device_add", "netdev_del"]);
  assert.ok(!tap.isOpen);
});

Deno.test("QemuHotplug.plug() connects a shared directory to its daemon, and unplug() takes the connection away after it", async () => {
  await using made = await box();
  const share = { kind: "shareFs", id: "shared", tag: "kataShared", source: "/share" } as const;
  assert.deepEqual(await made.hotplug.plug(share, soon()), { bus: "tag", tag: "kataShared" });
  const backend = { type: "socket", data: { addr: { type: "fd", data: { str: "share-shared" } }, server: false } };
  assert.deepEqual(made.commands.map(({ arguments: args }) => args), [
    { fdname: "share-shared" },
    { id: "char-shared", backend },
    {
      driver: "vhost-user-fs-pci",
      id: "shared",
      bus: "rp0",
      addr: "0x0",
      chardev: "char-shared",
      tag: "kataShared",
      "queue-size": 1024,
    },
  ]);
  await made.hotplug.unplug("shared", soon());
  assert.deepEqual(made.names(), ["getfd", "chardev-add", "device_add", "device_del", "chardev-remove"]);
});

const CARD = { kind: "net", id: "eth0", mac: "02:00:00:00:00:01" } as const;
const SHARE = { kind: "shareFs", id: "shared", tag: "kataShared", source: "/share" } as const;

/** For each command that a plug sends, what takes away what those before it have added. */
const UNDONE = [
  { device: () => DISK, refuses: "blockdev-add", undone: ["remove-fd"] },
  { device: () => DISK, refuses: "device_add", undone: ["blockdev-del", "remove-fd"] },
  { device: card, refuses: "netdev_add", undone: ["closefd", "closefd"] },
  { device: card, refuses: "device_add", undone: ["netdev_del"] },
  { device: () => SHARE, refuses: "chardev-add", undone: ["closefd"] },
  { device: () => SHARE, refuses: "device_add", undone: ["chardev-remove"] },
];

function card(): NetDevice {
  return { ...CARD, tapFds: [memfd("tap")], vhostFds: [memfd("vhost")] };
}

for (const { device, refuses, undone } of UNDONE) {
  Deno.test(`B21: QemuHotplug.plug() of kind ${device().kind} leaves nothing in QEMU when it refuses ${refuses}`, async () => {
    await using made = await box({ refuses: [refuses] });
    const plugged = device();
    await assert.rejects(made.hotplug.plug(plugged, soon()), {
      message: `Cannot plug ${plugged.kind} "${plugged.id}"`,
    });
    assert.deepEqual(made.names().slice(made.names().indexOf(refuses) + 1), undone);
    assert.equal(made.hotplug.address(plugged.id), undefined);
  });
}

Deno.test("B21: QemuHotplug.plug() takes away what a step adds that was answered too late", async () => {
  await using made = await box({ ignores: ["blockdev-add"] });
  await assert.rejects(made.hotplug.plug(DISK, AbortSignal.timeout(50)));
  assert.deepEqual(made.names(), ["add-fd", "blockdev-add", "blockdev-del", "remove-fd"]);
});

Deno.test("B22: QemuHotplug.unplug() takes the file of a disk back even if its node stays", async () => {
  await using made = await box({ refuses: ["blockdev-del"] });
  await made.hotplug.plug(DISK, soon());
  await assert.rejects(made.hotplug.unplug("d1", soon()));
  assert.deepEqual(made.names().slice(-2), ["blockdev-del", "remove-fd"]);
});
