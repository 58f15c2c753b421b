import assert from "node:assert/strict";
import type { DiskAddress } from "../../agent_api/disk_address.ts";
import { leftOutUnlessRoot } from "../../base/testing/left_out.ts";
import { letGoOfDisk } from "./disk.ts";
import { FakeUevents } from "./testing/fake_uevents.ts";
import { DeviceWaiter } from "./waiter.ts";

/** A guest's `/sys` and `/dev`, in which disks appear. */
class Box implements Disposable {
  readonly path = Deno.makeTempDirSync({ prefix: "kata-disk-" });
  readonly sys = `${this.path}/sys`;
  readonly dev = `${this.path}/dev`;
  readonly uevents = new FakeUevents();
  readonly devices = new DeviceWaiter({ sys: this.sys, dev: this.dev, listen: () => this.uevents.listen() });

  constructor() {
    for (const name of ["sys/class/scsi_host/host3", "sys/bus/scsi/devices", "dev"]) this.dir(name);
  }

  dir(name: string): void {
    Deno.mkdirSync(`${this.path}/${name}`, { recursive: true });
  }

  add(device: string, name: string): void {
    this.dir(`sys/${device}/block/${name}`);
    Deno.writeTextFileSync(`${this.dev}/${name}`, "");
  }

  async find(at: DiskAddress, timeoutMs = 60_000): Promise<string> {
    const { node } = await this.devices.disk(at, { signal: new AbortController().signal, timeoutMs });
    return node.slice(this.path.length);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

Deno.test("DeviceWaiter.disk() finds a disk by the address that the monitor says", async () => {
  using box = new Box();
  const ROOT = "devices/pci0000:00";
  box.dir(`sys/${ROOT}/0000:00:02.0/pci_bus/0000:05`);
  box.add(`${ROOT}/0000:00:02.0/0000:05:00.0/virtio3`, "vdb");
  box.add(`${ROOT}/0000:00:03.0`, "nvme0n1");
  box.add("bus/scsi/devices/3:0:7:0", "sda");
  box.add("bus/scsi/devices/3:0:17:0", "sdb");
  box.add("bus/ccw/devices/0.0.0001/virtio1", "vdc");
  assert.equal(await box.find({ bus: "pci", path: "02/00" }), "/dev/vdb");
  assert.equal(await box.find({ bus: "pci", path: "03" }), "/dev/nvme0n1");
  assert.equal(await box.find({ bus: "scsi", id: 7, lun: 0 }), "/dev/sda");
  assert.equal(await box.find({ bus: "ccw", id: "0.0.0001" }), "/dev/vdc");
  assert.equal(await box.find({ bus: "mmio", path: "/dev/vdb" }), "/dev/vdb");
});

Deno.test("DeviceWaiter.disk() asks the controllers once, and looks again with each event of a disk", async () => {
  using box = new Box();
  const scan = `${box.sys}/class/scsi_host/host3/scan`;
  const found = box.find({ bus: "scsi", id: 2, lun: 0 });
  assert.equal(Deno.readTextFileSync(scan), "0 2 0");
  Deno.removeSync(scan);
  box.add("bus/scsi/devices/3:0:2:0", "sda");
  await box.uevents.tell({ subsystem: "block" });
  assert.equal(await found, "/dev/sda");
  assert.throws(() => Deno.statSync(scan), Deno.errors.NotFound);
});

Deno.test({
  name: "DeviceWaiter.disk() waits for a disk whose node is there before it can be opened",
  ignore: leftOutUnlessRoot(import.meta),
  async fn() {
    using box = new Box();
    box.add("bus/scsi/devices/3:0:1:0", "sda");
    Deno.removeSync(`${box.dev}/sda`);
    // No device has this number.
    assert.ok(new Deno.Command("mknod", { args: [`${box.dev}/sda`, "b", "511", "77"] }).outputSync().success);
    let isFound = false;
    const found = box.find({ bus: "scsi", id: 1, lun: 0 }).finally(() => isFound = true);
    await box.uevents.tell({ subsystem: "block" });
    assert.ok(!isFound);
    Deno.removeSync(`${box.dev}/sda`);
    Deno.writeTextFileSync(`${box.dev}/sda`, "");
    await box.uevents.tell({ subsystem: "block" });
    assert.equal(await found, "/dev/sda");
  },
});

Deno.test("DeviceWaiter.disk() loads the modules of a controller that the kernel has not found, once", async () => {
  using box = new Box();
  Deno.removeSync(`${box.sys}/class/scsi_host/host3`);
  const loaded: string[] = [];
  const devices = new DeviceWaiter({
    sys: box.sys,
    dev: box.dev,
    loadModule: (name) => {
      loaded.push(name);
      box.dir("sys/class/scsi_host/host3");
      box.add("bus/scsi/devices/3:0:1:0", "sda");
      return Promise.resolve();
    },
  });
  const at = { bus: "scsi", id: 1, lun: 0 } as const;
  for (let time = 0; time < 2; time++) await devices.disk(at, { signal: new AbortController().signal });
  assert.deepEqual(loaded, ["virtio_scsi", "sd_mod"]);
});

Deno.test("DeviceWaiter.disk() says which disk it has waited for, and which there are", async () => {
  using box = new Box();
  for (const name of ["pmem0", "loop0"]) box.dir(`sys/class/block/${name}`);
  await assert.rejects(box.find({ bus: "scsi", id: 2, lun: 0 }, 1), {
    code: "NOT_FOUND",
    message: 'Cannot find disk "2:0" of driver "scsi" within 1 ms (there: pmem0; heard: nothing of its kind)',
  });
});

Deno.test("letGoOfDisk() takes a SCSI disk out of the kernel, and no other one", async () => {
  using box = new Box();
  for (const id of [7, 17]) box.add(`bus/scsi/devices/3:0:${id}:0`, `sd${id}`);
  await letGoOfDisk(`${box.dev}/sd7`, { bus: "scsi", id: 7, lun: 0 }, box);
  assert.equal(Deno.readTextFileSync(`${box.sys}/bus/scsi/devices/3:0:7:0/delete`), "1");
  assert.throws(() => Deno.statSync(`${box.sys}/bus/scsi/devices/3:0:17:0/delete`), Deno.errors.NotFound);
});

Deno.test("DeviceWaiter.disk() lets go of a disk that several have when the last of them does", async () => {
  using box = new Box();
  box.add("bus/scsi/devices/3:0:7:0", "sda");
  const [first, second] = await Promise.all(
    [1, 2].map(() => box.devices.disk({ bus: "scsi", id: 7, lun: 0 }, { signal: new AbortController().signal })),
  );
  const isDeleted = () =>
    [...Deno.readDirSync(`${box.sys}/bus/scsi/devices/3:0:7:0`)].some(({ name }) => name === "delete");
  await first![Symbol.asyncDispose]();
  assert.ok(!isDeleted());
  await second![Symbol.asyncDispose]();
  assert.ok(isDeleted());
});
