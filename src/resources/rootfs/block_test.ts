import assert from "node:assert/strict";
import { createLogger } from "../../base/log.ts";
import type { Device } from "../../hypervisor/device.ts";
import { BlockDevices } from "../devices/block_devices.ts";
import { NO_DISKS } from "../testing/no_disks.ts";
import { blockRootfs } from "./block.ts";
import type { RootfsMount } from "./rootfs.ts";

/** Attaches a root file system to a machine. @returns Its storage, and what the monitor was told. */
async function attach(mount: RootfsMount) {
  const told: string[] = [];
  const hotplug = {
    plug({ id, ...device }: Device) {
      told.push(`plug ${id} ${device.kind === "block" && device.readOnly ? "ro" : "rw"}`);
      return Promise.resolve({ bus: "scsi", id: 3, lun: 0 } as const);
    },
    unplug: (id: string) => Promise.resolve(void told.push(`unplug ${id}`)),
  };
  const { signal } = new AbortController();
  const disks = new BlockDevices({ vm: { name: "fake", hotplug }, signal, log: createLogger({ sink: () => {} }) });
  const context = { containerId: "c1", share: undefined as never };
  assert.ok(blockRootfs.matches({ mounts: [mount], path: "/unused" }, context));
  await using prepared = await blockRootfs.prepare({ mounts: [mount], path: "/unused" }, context);
  const { held, ...side } = await prepared.attach({ ...NO_DISKS, disks }, { signal });
  await held?.[Symbol.asyncDispose]();
  return { side, told };
}

const FILE = new URL(import.meta.url).pathname;
const ROOT = "/run/kata-containers/c1/rootfs";

Deno.test.each([
  { type: "ext4", options: ["loop", "rw"], mode: "rw", told: ["rw"] },
  { type: "ext4", options: ["ro", "loop", "X-containerd.mkfs.fs=ext4"], mode: "ro", told: ["ro"] },
  { type: "xfs", options: ["loop", "noatime"], mode: "rw", told: ["noatime", "nouuid"] },
  { type: "xfs", options: ["loop", "nouuid"], mode: "rw", told: ["nouuid"] },
])("B24: the guest finds a root file system by the address of its disk: $type with $options", async (row) => {
  const { side, told } = await attach({ type: row.type, source: FILE, options: row.options });
  assert.deepEqual(side, {
    rootPath: ROOT,
    storages: [{ driver: "scsi", source: "3:0", fstype: row.type, options: row.told, mountPoint: ROOT }],
  });
  assert.deepEqual(told, [`plug disk0 ${row.mode}`, "unplug disk0"]);
});

Deno.test("blockRootfs takes one file with the option loop, and nothing else", () => {
  const matches = (...mounts: RootfsMount[]) => blockRootfs.matches({ mounts, path: "/" }, {} as never);
  const file: RootfsMount = { type: "ext4", source: FILE, options: ["loop"] };
  assert.ok(matches(file));
  for (
    const mounts of [
      [],
      [file, file],
      [{ ...file, options: [] }],
      [{ ...file, source: "/none" }],
      [{ ...file, source: "/" }],
      [{ ...file, source: "/dev/null" }],
    ]
  ) assert.ok(!matches(...mounts));
});

Deno.test("blockRootfs refuses maps of owners, which the guest's kernel would not know", () => {
  const options = ["loop", "uidmap=0:100000:65536", "gidmap=0:100000:65536"];
  const mounts = [{ type: "ext4", source: FILE, options }];
  const act = () => blockRootfs.prepare({ mounts, path: "/" }, { containerId: "c1", share: undefined as never });
  assert.throws(act, { code: "UNIMPLEMENTED", message: /"ext4" has no layers/ });
});
