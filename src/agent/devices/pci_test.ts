import assert from "node:assert/strict";
import { errorCode } from "../../base/error.ts";
import { netAtPciPath } from "./net.ts";
import { pciDevice } from "./pci.ts";

/** A sysfs with a card on the root bus, one behind a bridge, and one behind two. */
function withSysfs(root: string, use: (sys: string) => void): void {
  const sys = Deno.makeTempDirSync({ prefix: "kata-sysfs-" });
  try {
    const bus = `${sys}/devices/${root}pci0000:00`;
    const paths = [
      "0000:00:01.0/virtio0/net/eth0",
      "0000:00:02.0/pci_bus/0000:05",
      "0000:00:02.0/0000:05:01.0/virtio1/net/eth1",
      "0000:00:02.0/0000:05:02.3/net/ens2",
      "0000:00:02.0/0000:05:1f.0/pci_bus/0000:06",
      "0000:00:02.0/0000:05:1f.0/0000:06:00.0",
      "0000:00:03.0/virtio2/block/vda",
    ];
    for (const path of paths) Deno.mkdirSync(`${bus}/${path}`, { recursive: true });
    Deno.mkdirSync(`${sys}/devices/platform`, { recursive: true });
    Deno.writeTextFileSync(`${sys}/devices/platform/uevent`, ""); // as each directory of sysfs has it
    use(sys);
  } finally {
    Deno.removeSync(sys, { recursive: true });
  }
}

for (const root of ["", "platform/4010000000.pcie/"]) {
  Deno.test(`pciDevice() follows slots and functions over buses that the guest has numbered (root ${root}pci0000:00)`, () => {
    withSysfs(root, (sys) => {
      const found = (path: string) => pciDevice(path, sys)?.split("/").at(-1);
      assert.equal(found("01"), "0000:00:01.0");
      assert.equal(found("2/1"), "0000:05:01.0");
      assert.equal(found("02/02.3"), "0000:05:02.3");
      assert.equal(found("02/1F/00"), "0000:06:00.0");
      for (const missing of ["04", "02/03", "01/00", "02/1f/01"]) assert.equal(found(missing), undefined, missing);
    });
  });
}

Deno.test.each(["", "/", "02/", "../02", "20", "02.8", "0000:00:02.0", "xx"])("pciDevice() refuses path %j", (path) => {
  assert.throws(() => pciDevice(path, "/none"), (error: Error) => {
    return errorCode(error) === "INVALID_ARGUMENT" && error.message.includes(JSON.stringify(path));
  });
});

Deno.test("netAtPciPath() names the interface of a card, virtio or not", () => {
  withSysfs("", (sys) => {
    const paths = ["01", "02/01", "02/02.3", "03", "04"];
    assert.deepEqual(paths.map((path) => netAtPciPath(path, sys)), ["eth0", "eth1", "ens2", undefined, undefined]);
  });
});
