/** One source of several containers is one file system in the guest. Needs root. */
import assert from "node:assert/strict";
import { defaultConfig } from "../../src/config/schema.ts";
import { bindMount, mount, umountTree } from "../../src/linux/mount/mount.ts";
import { readMountInfo } from "../../src/linux/mount/mountinfo.ts";
import { attachAll } from "../../src/resources/resource.ts";
import { SharedDirectory } from "../../src/resources/share_fs.ts";
import { NO_DISKS } from "../../src/resources/testing/no_disks.ts";
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
