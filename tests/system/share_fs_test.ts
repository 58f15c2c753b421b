/** The shared directory on real mounts: what is shared, and that nothing of the host is lost when it goes. Needs root. */
import assert from "node:assert/strict";
import { createLogger } from "../../src/base/log.ts";
import { defaultConfig } from "../../src/config/schema.ts";
import { bindMount, mount } from "../../src/linux/mount/mount.ts";
import { readMountInfo } from "../../src/linux/mount/mountinfo.ts";
import { recordPid } from "../../src/hypervisor/process/pid_file.ts";
import type { Mount } from "../../src/oci/spec/spec.ts";
import { shareRootfs } from "../../src/resources/rootfs/share.ts";
import { SharedDirectory } from "../../src/resources/share_fs.ts";
import { attachAll, type Owned } from "../../src/resources/resource.ts";
import type { Volume } from "../../src/resources/volumes/volume.ts";
import { NO_DISKS } from "../../src/resources/testing/no_disks.ts";
import { prepareVolumes } from "../../src/resources/volumes/volumes.ts";
import { GUEST_PATH } from "../../src/agent_api/names.ts";
import { cleanUpSandbox } from "../../src/sandbox/cleanup.ts";
import { writeState } from "../../src/sandbox/persist.ts";

const log = createLogger({ sink: () => {} });

/** A directory of its own, in which nothing may stay mounted. */
class Box implements Disposable {
  readonly path = Deno.makeTempDirSync({ prefix: "kata-share-" });
  readonly roots = { run: `${this.path}/run`, shared: `${this.path}/shared` };

  dir(name: string): string {
    Deno.mkdirSync(`${this.path}/${name}`, { recursive: true });
    return `${this.path}/${name}`;
  }

  mounts(): readonly string[] {
    return readMountInfo().map(({ mountPoint }) => mountPoint).filter((path) => path.startsWith(this.path));
  }

  [Symbol.dispose](): void {
    assert.deepEqual(this.mounts(), []);
    Deno.removeSync(this.path, { recursive: true });
  }
}

/** Where the guest's view has what it is told of a mount. */
function seen(share: SharedDirectory, mount: Mount | undefined): string {
  return `${share.source}/${mount?.source?.slice(`${GUEST_PATH.shared}/`.length)}`;
}

async function firstMount({ all }: Owned<Volume>): Promise<Mount | undefined> {
  const { all: [part] } = await attachAll(all, NO_DISKS, { signal: AbortSignal.abort() });
  return part?.mount;
}

const CONTEXT = { config: defaultConfig(), sandboxId: "s1", bundle: "/" };

Deno.test("a shared tree is taken away without touching the host's mounts inside of it", async () => {
  using box = new Box();
  const source = box.dir("source");
  using _outer = mount("tmpfs", source, { type: "tmpfs" });
  using _inner = mount("tmpfs", box.dir("source/inner"), { type: "tmpfs" });
  Deno.writeTextFileSync(`${source}/inner/file`, "kept");
  {
    using share = new SharedDirectory(box.roots.shared, "s1");
    const mounts = [{ destination: "/data", type: "bind", source, options: ["rbind"] }];
    using container = share.container("c1");
    await using volumes = await prepareVolumes(mounts, { ...CONTEXT, share: container });
    assert.equal(Deno.readTextFileSync(`${seen(share, await firstMount(volumes))}/inner/file`), "kept");
  }
  assert.equal(Deno.readTextFileSync(`${source}/inner/file`), "kept");
});

Deno.test("a single file is shared as a file, under a name of any length (B9)", async () => {
  using box = new Box();
  using share = new SharedDirectory(box.roots.shared, "s1");
  using container = share.container("c1");
  Deno.writeTextFileSync(`${box.path}/hosts`, "127.0.0.1 localhost\n");
  const destination = `/etc/${"ä".repeat(120)}`;
  const mounts = [{ destination, type: "bind", source: `${box.path}/hosts`, options: ["bind", "ro"] }];
  await using volumes = await prepareVolumes(mounts, { ...CONTEXT, share: container });
  assert.equal(Deno.readTextFileSync(seen(share, await firstMount(volumes))), "127.0.0.1 localhost\n");
});

/** Works in a directory that is gone, which no program can come back to. */
function inLostDirectory(): Disposable {
  const before = Deno.cwd();
  const lost = Deno.makeTempDirSync({ prefix: "kata-lost-" });
  Deno.chdir(lost);
  Deno.removeSync(lost);
  return { [Symbol.dispose]: () => Deno.chdir(before) };
}

Deno.test.each([{ count: 80 }, { count: 128 }, { count: 500 }])(
  "a snapshot of $count layers is put together, without a change of the working directory",
  ({ count }) => {
    using box = new Box();
    using share = new SharedDirectory(box.roots.shared, "s1");
    const layers = Array.from({ length: count }, (_, at) => box.dir(`${"snapshots-".repeat(5)}/${at}/fs`));
    layers.forEach((layer, at) => Deno.writeTextFileSync(`${layer}/layer-${at}`, ""));
    const [upper, work] = [box.dir("snapshots-upper"), box.dir("snapshots-work")];
    const options = [`lowerdir=${layers.join(":")}`, `upperdir=${upper}`, `workdir=${work}`];
    assert.ok(options.join(",").length > 4096);
    using container = share.container("c1");
    using _lost = inLostDirectory();
    using rootfs = shareRootfs(container, {
      mounts: [{ type: "overlay", source: "overlay", options }],
      path: "/unused",
    });
    assert.equal(rootfs.guestPath, "/run/kata-containers/shared/containers/passthrough/c1/rootfs");
    const host = `${share.source}/passthrough/c1/rootfs`;
    assert.equal([...Deno.readDirSync(host)].length, count);
    Deno.writeTextFileSync(`${host}/new`, "");
    assert.ok(Deno.statSync(`${upper}/new`).isFile);
  },
);

Deno.test("a mount that fails names itself and leaves nothing", () => {
  using box = new Box();
  using share = new SharedDirectory(box.roots.shared, "s1");
  const mounts = [{ type: "bind", source: box.dir("a"), options: ["rbind", "ro"] }, {
    type: "nosuchfs",
    source: "x",
    options: [],
  }];
  {
    using container = share.container("c1");
    assert.throws(() => shareRootfs(container, { mounts, path: "/unused" }), {
      message: 'Cannot mount the root file system (nosuchfs "x")',
    });
    assert.deepEqual([...Deno.readDirSync(`${share.source}/passthrough/c1`)], []);
    assert.equal(box.mounts().length, 2);
  }
  assert.deepEqual([...Deno.readDirSync(`${share.source}/passthrough`)], []);
});

Deno.test("cleanUpSandbox() ends processes and mounts of a shim that is gone, twice (B38)", async () => {
  using box = new Box();
  const runDir = box.dir("run/s1");
  const vmm = new Deno.Command("sleep", { args: ["1000"] }).spawn();
  recordPid(runDir, { name: "qemu", pid: vmm.pid });
  // A number that is another process's by now: its start time differs.
  Deno.writeTextFileSync(`${runDir}/virtiofsd.pid`, `${Deno.pid} 1\n`);
  const shim = { pid: Deno.pid, startTime: "1" };
  writeState(runDir, { id: "s1", namespace: "n", address: "unix:///s", shim, cgroups: [], containers: [] });
  const share = new SharedDirectory(box.roots.shared, "s1");
  bindMount(box.dir("rootfs"), box.dir("shared/s1/mounts/passthrough/rootfs"));
  for (let time = 0; time < 2; time++) await cleanUpSandbox("s1", { roots: box.roots, log });
  assert.equal((await vmm.status).signal, "SIGKILL");
  assert.throws(() => Deno.statSync(share.source), Deno.errors.NotFound);
  assert.throws(() => Deno.statSync(runDir), Deno.errors.NotFound);
});

Deno.test("a mount without a destination is refused by its number", async () => {
  using box = new Box();
  using share = new SharedDirectory(box.roots.shared, "s1");
  using container = share.container("c1");
  const mounts = [{ destination: "/a", type: "tmpfs" }, {
    type: "bind",
    source: box.dir("source"),
    options: ["rbind"],
  }];
  await assert.rejects(prepareVolumes(mounts as Mount[], { ...CONTEXT, share: container }), {
    code: "INVALID_ARGUMENT",
    message: "Cannot use mounts[1]: it has no destination",
  });
});
