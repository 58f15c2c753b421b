/** One source of several containers is one file system in the guest. Needs root. */
import assert from "node:assert/strict";
import { createLogger } from "../../src/base/log.ts";
import { defaultConfig } from "../../src/config/schema.ts";
import { bindMount, mount, umountTree } from "../../src/linux/mount/mount.ts";
import { readMountInfo } from "../../src/linux/mount/mountinfo.ts";
import type { GuestAddress } from "../../src/agent_api/guest_address.ts";
import type { Device } from "../../src/hypervisor/device.ts";
import { BlockDevices } from "../../src/resources/devices/block_devices.ts";
import { attachAll } from "../../src/resources/resource.ts";
import { SharedDirectory } from "../../src/resources/share_fs.ts";
import { NO_DISKS } from "../../src/resources/testing/no_disks.ts";
import { GUEST_PATH } from "../../src/agent_api/names.ts";
import { prepareVolumes } from "../../src/resources/volumes/volumes.ts";

/** A sandbox's share, and directories to put into it. */
class Pod implements Disposable {
  readonly path = Deno.makeTempDirSync({ prefix: "kata-once-" });
  readonly #share = new SharedDirectory(`${this.path}/shared`, "s1");

  dir(name: string): string {
    Deno.mkdirSync(`${this.path}/${name}`, { recursive: true });
    return `${this.path}/${name}`;
  }

  /** A container with one volume. Disposing it removes the container. */
  async container(source: string, options: readonly string[]): Promise<{ told: string } & AsyncDisposable> {
    await using undo = new AsyncDisposableStack();
    const share = undo.use(this.#share.container(crypto.randomUUID()));
    const context = { config: defaultConfig(), sandboxId: "s1", bundle: this.path, share };
    const volumes = await prepareVolumes([{ destination: "/v", type: "bind", source, options: [...options] }], context);
    const { all: [made] } = await attachAll(undo.use(volumes).all, NO_DISKS, { signal: AbortSignal.abort() });
    const owned = undo.move();
    return { told: made?.mount.source ?? "", [Symbol.asyncDispose]: () => owned.disposeAsync() };
  }

  /** Where the guest sees what a container is told. */
  seen(told: string): string {
    return `${this.path}/shared/s1/shared${told.slice(GUEST_PATH.shared.length)}`;
  }

  /** How many trees the guest sees. */
  trees(): number {
    const below = `${this.path}/shared/s1/shared/passthrough/`;
    return readMountInfo().filter(({ mountPoint }) => mountPoint.startsWith(below)).length;
  }

  [Symbol.dispose](): void {
    this.#share[Symbol.dispose]();
    umountTree(this.path);
    Deno.removeSync(this.path, { recursive: true });
  }
}

Deno.test("pods A3: a source is shown once, whatever path names it, as long as any container has it", async () => {
  using pod = new Pod();
  const source = pod.dir("source");
  // As the kubelet does for each container with a subPath.
  bindMount(source, pod.dir("part"));
  Deno.symlinkSync(source, `${pod.path}/link`);
  const one = await pod.container(source, ["rbind", "rw"]);
  const others = [];
  for (const path of [source, `${pod.path}/link`, `${pod.path}/part`]) {
    others.push(await pod.container(path, ["rbind", "rslave"]));
  }
  assert.deepEqual(others.map(({ told }) => told), [one.told, one.told, one.told]);
  assert.equal(pod.trees(), 1);
  await one[Symbol.asyncDispose]();
  assert.equal(pod.trees(), 1);
  const again = await pod.container(source, ["rbind"]);
  assert.equal(again.told, one.told);
  for (const container of [...others, again]) await container[Symbol.asyncDispose]();
  assert.equal(pod.trees(), 0);
  await using later = await pod.container(source, ["rbind"]);
  assert.notEqual(later.told, one.told, "a name of the guest's cache is not used again");
});

Deno.test("pods A3: who only reads a source meets those who write it; what is shown in another way is apart", async () => {
  using pod = new Pod();
  const source = pod.dir("source");
  const told = async (options: readonly string[], path = source) => (await pod.container(path, options)).told;
  const reader = await told(["rbind", "ro"]);
  const writer = await told(["rbind"]);
  assert.notEqual(reader, writer, "the host keeps it read-only while nobody may write");
  assert.equal(await told(["rbind", "ro"]), writer);
  const apart = [await told(["rbind", "rprivate"]), await told(["bind"]), await told(["rbind"], pod.dir("other"))];
  assert.equal(new Set([reader, writer, ...apart]).size, 5);
  Deno.mkdirSync(`${source}/inner`);
  using _inner = mount("tmpfs", `${source}/inner`, { type: "tmpfs" });
  assert.notEqual(await told(["rbind"]), writer, "what is mounted below has changed");
  assert.equal(await told(["bind"]), apart[1], "which a plain bind does not show");
});

/** Two directories of an overlay file system, and files beside them, whose inode numbers are beyond 53 bits. */
function madeNeighbours(pod: Pod, undo: DisposableStack): [string, string] {
  // Of two file systems: the number of the layer is in the upper bits.
  for (const name of ["lower", "upper"]) undo.use(mount("tmpfs", pod.dir(name), { type: "tmpfs" }));
  const [lower, upper, work] = [pod.dir("lower"), pod.dir("upper/dir"), pod.dir("upper/work")];
  for (const name of ["alice", "bob"]) Deno.writeTextFileSync(`${pod.dir(`lower/${name}`)}.img`, "");
  const data = `lowerdir=${lower},upperdir=${upper},workdir=${work},xino=on`;
  undo.use(mount("overlay", pod.dir("merged"), { type: "overlay", data }));
  const [alice, bob] = [`${pod.path}/merged/alice`, `${pod.path}/merged/bob`];
  assert.equal(Deno.statSync(alice).ino, Deno.statSync(bob).ino, "as JavaScript's numbers they are equal");
  return [alice, bob];
}

Deno.test("pods A3: directories whose inode numbers differ only beyond 53 bits are two, and each container sees its own", async () => {
  using pod = new Pod();
  using undo = new DisposableStack();
  const [alice, bob] = madeNeighbours(pod, undo);
  Deno.writeTextFileSync(`${alice}/secret`, "alice's");
  await using first = await pod.container(alice, ["rbind", "rw"]);
  await using second = await pod.container(bob, ["rbind", "ro"]);
  assert.notEqual(first.told, second.told);
  assert.deepEqual([...Deno.readDirSync(pod.seen(second.told))], []);
});

Deno.test("disks whose inode numbers differ only beyond 53 bits are two", async () => {
  using pod = new Pod();
  using undo = new DisposableStack();
  const paths = madeNeighbours(pod, undo).map((path) => `${path}.img`);
  const plugged: string[] = [];
  const plug = (device: Device): Promise<GuestAddress> => {
    assert.ok(device.kind === "block");
    plugged.push(Deno.readLinkSync(device.path));
    return Promise.resolve({ bus: "scsi", id: plugged.length, lun: 0 });
  };
  assert.equal(Deno.statSync(paths[0]!).ino, Deno.statSync(paths[1]!).ino, "as JavaScript's numbers they are equal");
  const vm = { name: "fake", hotplug: { plug, unplug: () => Promise.resolve() } };
  const disks = new BlockDevices({ vm, signal: new AbortController().signal, log: createLogger({ sink: () => {} }) });
  for (const path of paths) await disks.acquire({ path, readOnly: true, user: "u" });
  assert.deepEqual(plugged, paths);
});

Deno.test("pods A3: a tree is found by its place on the file system as well, so that a repeated inode number shows no other", async () => {
  using pod = new Pod();
  const source = pod.dir("source");
  await using first = await pod.container(source, ["rbind"]);
  // The file is the same one, as in a snapshot that repeats its numbers, and the place another.
  Deno.renameSync(source, `${pod.path}/snapshot`);
  await using second = await pod.container(`${pod.path}/snapshot`, ["rbind"]);
  assert.notEqual(first.told, second.told);
});
