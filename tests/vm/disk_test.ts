/** Root file systems on disks, which a sandbox plugs into its machine. Needs root, QEMU, dist/guest and e2fsprogs. */
import assert from "node:assert/strict";
import { createLogger } from "../../src/base/log.ts";
import { exists } from "../../src/base/files.ts";
import { leftOut } from "../../src/base/testing/left_out.ts";
import { splitDevice } from "../../src/linux/device/number.ts";
import type { Device } from "../../src/oci/spec/spec.ts";
import type { RootfsMount } from "../../src/resources/rootfs/rootfs.ts";
import type { Container } from "../../src/sandbox/container/container.ts";
import { Sandbox } from "../../src/sandbox/sandbox.ts";
import { Bundle } from "../system/oci_bundle.ts";
import { commandOf, list } from "../interop/host.ts";
import { writeConfig } from "./machine.ts";

const decoder = new TextDecoder();

function run(command: string, ...args: readonly string[]): string {
  const { success, stdout, stderr } = new Deno.Command(command, { args: [...args] }).outputSync();
  assert.ok(success, `${command} ${args.join(" ")}: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}

/** Devices of a specification, with what its rules allow. */
type WithRules = readonly (Required<Pick<Device, "path" | "type" | "major" | "minor">> & { access: string })[];

/** A disk of this machine, on a file, until it is disposed. */
function loopDisk(file: string): { path: string; major: number; minor: number } & Disposable {
  const path = run("losetup", "--find", "--show", file).trim();
  const number = splitDevice(Deno.statSync(path).rdev!);
  return { path, ...number, [Symbol.dispose]: () => void run("losetup", "--detach", path) };
}

/** A sandbox whose own container sleeps on a disk, and disks with busybox for others. */
class Box implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack();
  readonly #bundle = this.#stack.use(new Bundle());
  readonly #id = `disk-${crypto.randomUUID().slice(0, 8)}`;
  readonly lines: Record<string, unknown>[] = [];
  #sandbox: Sandbox | undefined;

  static async start(settings: readonly string[]): Promise<Box> {
    const box = new Box();
    await box.#start(settings);
    return box;
  }

  async #start(settings: readonly string[]): Promise<void> {
    const { path } = this.#bundle;
    const log = createLogger({ sink: (line) => this.lines.push(JSON.parse(line)), level: "debug" });
    this.#sandbox = this.#stack.use(
      await Sandbox.create({
        id: this.#id,
        config: await writeConfig(path, { settings }),
        log,
        roots: { run: `${path}/run`, shared: `${path}/shared` },
        spec: this.#bundle.spec(["sleep", "1000"], ({ linux }) => delete linux.cgroupsPath),
        type: "single_container",
        owner: { address: "unix:///none", namespace: "test" },
      }),
    );
    const { container } = await this.create(this.#id, ["sleep", "1000"], this.disk("own"));
    await this.#sandbox.startContainer(container.id);
  }

  /** Makes a read-only image of the bundle's files. @returns Its path. */
  image(name: string): string {
    const path = `${this.#bundle.path}/${name}.img`;
    run("mkfs.erofs", "--quiet", path, this.#bundle.rootfs);
    return path;
  }

  /** Makes a disk with the bundle's files. @returns Its path. */
  disk(name: string): string {
    const path = `${this.#bundle.path}/${name}.img`;
    run("mkfs.ext4", "-q", "-d", this.#bundle.rootfs, path, "24M");
    return path;
  }

  async create(
    id: string,
    args: readonly string[],
    source: string,
    { type = "ext4", options = ["loop", "rw"], devices = [] }: Partial<RootfsMount> & { devices?: WithRules } = {},
  ): Promise<{ container: Container; output: () => string }> {
    const spec = this.#bundle.spec(args, ({ root, linux, process: { capabilities } }) => {
      for (const set of Object.values(capabilities ?? {})) set.push("CAP_MKNOD");
      root!.readonly = options.includes("ro");
      linux.devices = devices.map(({ access: _, ...device }) => device);
      linux.resources = {
        devices: [
          { allow: false, access: "rwm" },
          ...devices.map(({ type, major, minor, access }) => ({ allow: true, type, major, minor, access })),
        ],
      };
    });
    const rootfs = [{ type, source, options }];
    let output = "";
    const stdout = {
      write: (data: Uint8Array) => Promise.resolve(void (output += decoder.decode(data))),
      [Symbol.dispose]() {},
    };
    const stdio = {
      names: { stdin: "", stdout: "x", stderr: "x" },
      stdout,
      stderr: stdout,
      async [Symbol.asyncDispose]() {},
    };
    const container = await this.#sandbox!.createContainer({
      id,
      type: "single_container",
      bundle: this.#bundle.path,
      spec,
      rootfs,
      terminal: false,
      stdio,
    });
    return { container, output: () => output };
  }

  async start(id: string): Promise<void> {
    await this.#sandbox!.startContainer(id);
  }

  async remove(id: string): Promise<void> {
    await this.#sandbox!.removeContainer(id);
  }

  /** Runs a container to its end, and removes it. @returns Its output. */
  async run(
    id: string,
    script: string,
    source: string,
    options: Partial<RootfsMount> & { devices?: WithRules } = {},
  ): Promise<string> {
    const { container, output } = await this.create(id, ["sh", "-c", script], source, options);
    await this.start(id);
    assert.equal((await container.init.exited).status, 0, output());
    await container.init.drained();
    await this.remove(id);
    return output();
  }

  /** How often a disk was plugged so far. */
  get plugs(): number {
    return this.lines.filter(({ msg }) => String(msg).startsWith("Plugged block")).length;
  }

  /** Whether the monitor has a file open. */
  holds(path: string): boolean {
    const pid = this.#sandbox!.pid;
    return list(`/proc/${pid}/fd`).some((fd) => {
      try {
        return Deno.readLinkSync(`/proc/${pid}/fd/${fd}`) === path;
      } catch {
        return false;
      }
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
    assert.deepEqual(list("/proc").flatMap(commandOf).filter((line) => line.includes(this.#id)), []);
  }
}

for (const driver of ["virtio-scsi", "virtio-blk-pci"]) {
  Deno.test(`B25: a root file system in a file is a disk, which leaves the machine whole when the container is removed (${driver})`, async (test) => {
    await using box = await Box.start([`block_device_driver = "${driver}"`, "pcie_root_port = 4"]);
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
    await using box = await Box.start([]);
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
