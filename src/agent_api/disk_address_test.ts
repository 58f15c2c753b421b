import assert from "node:assert/strict";
import { type DiskAddress, type DiskDriver, fromDiskSource, toDiskSource } from "./disk_address.ts";

Deno.test.each<{ address: DiskAddress }>([
  { address: { bus: "pci", path: "02/00" } },
  { address: { bus: "scsi", id: 255, lun: 16383 } },
  { address: { bus: "mmio", path: "/dev/vdb" } },
  { address: { bus: "ccw", id: "0.0.0001" } },
])("fromDiskSource() reads what toDiskSource() writes: $address.bus", ({ address }) => {
  assert.deepEqual(fromDiskSource(toDiskSource(address)), address);
});

Deno.test("fromDiskSource() takes a node for a PCI path, as older hosts name it", () => {
  assert.deepEqual(fromDiskSource({ driver: "blk", source: "/dev/vda" }), { bus: "mmio", path: "/dev/vda" });
});

Deno.test.each<{ driver: DiskDriver; source: string }>([
  { driver: "scsi", source: "3" },
  { driver: "scsi", source: "-1:0" },
  { driver: "scsi", source: "1:0/../2" },
  { driver: "blk", source: "/dev/../run/x" },
  { driver: "blk", source: "/run/kata-containers/x" },
  { driver: "mmioblk", source: "vda" },
  { driver: "blk-ccw", source: "../0.0.0001" },
])('fromDiskSource() refuses "$source" of driver "$driver"', ({ driver, source }) => {
  assert.throws(() => fromDiskSource({ driver, source }), {
    code: "INVALID_ARGUMENT",
    message: new RegExp(
      `^Cannot find disk ${JSON.stringify(source)} of driver "${driver}": expected `.replaceAll(".", "\\."),
    ),
  });
});

Deno.test("toDiskSource() refuses a shared directory", () => {
  assert.throws(() => toDiskSource({ bus: "tag", tag: "t" }), { message: /it is a shared directory/ });
});
