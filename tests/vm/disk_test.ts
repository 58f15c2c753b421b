/** Root file systems on disks, which a sandbox plugs into its machine. Needs root, QEMU, dist/guest and e2fsprogs. */
import assert from "node:assert/strict";
import { exists } from "../../src/base/files.ts";
import { leftOut } from "../../src/base/testing/left_out.ts";
import { splitDevice } from "../../src/linux/device/number.ts";
import { Box, run } from "./disk_box.ts";

const decoder = new TextDecoder();

/** A disk of this machine, on a file, until it is disposed. */
function loopDisk(file: string): { path: string; major: number; minor: number } & Disposable {
  const path = run("losetup", "--find", "--show", file).trim();
  const number = splitDevice(Deno.statSync(path).rdev!);
  return { path, ...number, [Symbol.dispose]: () => void run("losetup", "--detach", path) };
}

for (const driver of ["virtio-scsi", "virtio-blk-pci"]) {
  Deno.test(`B25: a root file system in a file is a disk, which leaves the machine whole when the container is removed (${driver})`, async (test) => {
    await using box = await Box.start({ settings: [`block_device_driver = "${driver}"`, "pcie_root_port = 4"] });
    const disk = box.disk("one");

    await test.step("its files are seen, and what it writes is on the disk", async () => {
      assert.match(
        await box.run("c1", "mount | grep ' / '; head -c 3000000 /dev/zero > /new; echo done > /mark", disk),
        /ext4/,
      );
      assert.ok(!box.holds(disk), "the monitor has let go of it");
      run("e2fsck", "-fn", disk);
      assert.equal(run("debugfs", "-R", "cat /mark", disk), "done\n");
      assert.match(run("debugfs", "-R", "stat /new", disk), /Size: 3000000/);
    });

    await test.step("the same disk is plugged again, and a second one beside it", async () => {
      assert.equal(await box.run("c1", "cat /mark", disk), "done\n");
      assert.equal(await box.run("c2", "ls /mark 2>/dev/null; echo none", box.disk("two")), "none\n");
    });

    await test.step("an image of another file system is mounted as asked", async () => {
      const mount = { type: "erofs", options: ["ro", "loop"] };
      const said = await box.run("e1", "mount | grep ' / '; touch /x 2>&1 || echo no", box.image("layer"), mount);
      assert.match(said, /type erofs \(ro[^]*Read-only file system\nno\n$/);
    });

    await test.step("readers share one disk, which a writer does not get", async () => {
      const before = box.plugs;
      for (const id of ["r1", "r2"]) {
        await box.create(id, ["sleep", "1000"], disk, { options: ["loop", "ro"] });
        await box.start(id);
      }
      assert.equal(box.plugs - before, 1);
      await assert.rejects(box.create("w", ["true"], disk), /Cannot use disk/);
      for (const id of ["r1", "r2"]) assert.ok(box.holds(disk), id);
    });
  });
}

Deno.test({
  name: "a disk of the host is a container's device, by the number that it has in the guest, and no other disk is",
  ignore: leftOut(import.meta, !exists("/dev/loop-control") && "the kernel has no loop devices"),
  async fn(test) {
    await using box = await Box.start({});
    const [root, file] = [box.disk("root"), box.disk("file")];
    using loop = loopDisk(file);
    const { major, minor } = loop;
    const disk = { path: "/dev/xvda", type: "b", major, minor, fileMode: 0o600, access: "rwm" } as const;

    await test.step("it is written and read, and is there afterwards", async () => {
      const script = "echo -n hello | dd of=/dev/xvda bs=1 seek=4096 conv=notrunc 2>/dev/null; wc -c < /dev/xvda";
      assert.equal((await box.run("d1", script, root, { devices: [disk] })).trim(), String(24 << 20));
      const bytes = Deno.readFileSync(file).subarray(4096, 4101);
      assert.equal(decoder.decode(bytes), "hello");
    });

    await test.step("no other disk can be opened, such as the guest's own and the root file system's", async () => {
      const script = `for disk in /sys/block/sd* /sys/block/vd*; do
        number=$(cat $disk/dev); mknod /node b \${number%:*} \${number#*:}
        if head -c 1 /node >/dev/null 2>&1; then echo open; else echo closed; fi; rm /node; done`;
      const found = (await box.run("d2", script, root, { devices: [disk] })).trim().split("\n").sort();
      assert.deepEqual(found, ["closed", "closed", "closed", "open"]);
    });

    await test.step("what its rules do not let it write is plugged read-only", async () => {
      const number = "$(printf %d:%d 0x$(stat -c %t /dev/xvda) 0x$(stat -c %T /dev/xvda))";
      const script = `echo x 2>/dev/null > /dev/xvda || cat /sys/dev/block/${number}/ro`;
      const output = await box.run("d3", `(${script}) 2>/dev/null`, root, { devices: [{ ...disk, access: "r" }] });
      assert.equal(output, "1\n");
    });

    await test.step("one that the host has mounted is not written by two kernels, but may be read", async () => {
      run("mkfs.ext4", "-q", "-F", loop.path);
      const place = Deno.makeTempDirSync({ prefix: "kata-disk-" });
      run("mount", loop.path, place);
      try {
        await assert.rejects(box.create("d4", ["true"], root, { devices: [disk] }), {
          code: "FAILED_PRECONDITION",
          message: /^Cannot give device "\/dev\/xvda" \(b .*\) to container "d4": the host has mounted it/,
        });
        await box.run("d5", "head -c 1 /dev/xvda > /dev/null", root, { devices: [{ ...disk, access: "r" }] });
      } finally {
        run("umount", place);
        Deno.removeSync(place);
      }
    });

    await test.step("a number that is no disk of the host is refused by name", async () => {
      const none = { ...disk, major: 4095 };
      await assert.rejects(box.create("d6", ["true"], root, { devices: [none] }), {
        code: "INVALID_ARGUMENT",
        message: `Cannot give device "/dev/xvda" (b 4095:${minor}) to container "d6": the host has no such disk`,
      });
    });
  },
});
