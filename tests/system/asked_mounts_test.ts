/** Rows of mounts and of their options, held to what the handlers of volumes do. Needs root. */
import assert from "node:assert/strict";
import { leftOutUnlessRoot } from "../../src/base/testing/left_out.ts";
import { defaultConfig } from "../../src/config/schema.ts";
import { mount, umountTree } from "../../src/linux/mount/mount.ts";
import { knownMountOptions } from "../../src/linux/mount/mount_options.ts";
import type { Mount } from "../../src/oci/spec/spec.ts";
import { MOUNT_FATES_BY_HANDLER, WORD_FATES } from "../../src/resources/asked/mounts.ts";
import { attachAll } from "../../src/resources/resource.ts";
import { SharedDirectory } from "../../src/resources/share_fs.ts";
import { NO_DISKS } from "../../src/resources/testing/no_disks.ts";
import { prepareVolumes, VOLUME_HANDLERS } from "../../src/resources/volumes/volumes.ts";

const ignore = leftOutUnlessRoot(import.meta);

Deno.test("kind 1: each word of options that the engine knows has one row, and each handler of volumes has rows", () => {
  assert.deepEqual(Object.keys(WORD_FATES).flatMap((row) => row.split(" ")).sort(), knownMountOptions());
  assert.deepEqual(Object.keys(MOUNT_FATES_BY_HANDLER), VOLUME_HANDLERS);
});

/** A container's share and a directory for sources. */
class Place implements Disposable {
  readonly path = Deno.makeTempDirSync({ prefix: "kata-asked-" });
  readonly #share = new SharedDirectory(`${this.path}/shared`, "s1");

  constructor() {
    Deno.mkdirSync(`${this.path}/source`);
  }

  /** @returns The handler's name and the mount as the guest is told. @throws What the handler says. */
  async volume(asked: Partial<Mount>): Promise<{ handler: string; told: Mount }> {
    using share = this.#share.container(crypto.randomUUID());
    const linux = { uidMappings: [MAP], gidMappings: [MAP] };
    const context = { config: defaultConfig(), sandboxId: "s1", bundle: this.path, share, linux };
    const whole = { destination: "/v", type: "bind", source: `${this.path}/source`, ...asked };
    await using volumes = await prepareVolumes([whole], context);
    const handler = volumes.all[0]!.name;
    const machine = { ...NO_DISKS, podRoot: "" };
    const { all: [made] } = await attachAll(volumes.all, machine, { signal: AbortSignal.abort() });
    return { handler, told: made!.mount };
  }

  [Symbol.dispose](): void {
    this.#share[Symbol.dispose]();
    umountTree(this.path);
    Deno.removeSync(this.path, { recursive: true });
  }
}

const MAP = { containerID: 0, hostID: 100_000, size: 1000 };
const WORDS = Object.entries(WORD_FATES).flatMap(([row, fate]) => row.split(" ").map((word) => ({ word, fate })));

Deno.test({ name: "kind 1: each word of the options of a shared volume has the fate of its row", ignore }, async () => {
  using place = new Place();
  for (const { word, fate } of WORDS) {
    const options = /bind$/.test(word) ? [word] : ["rbind", word];
    if ("refused" in fate) {
      await assert.rejects(place.volume({ options }), (error: Error) => error.message.includes(fate.refused), word);
      continue;
    }
    const { handler, told } = await place.volume({ options });
    assert.equal(handler, "share");
    // Owners are mapped on the host: the guest does not do so once more.
    const expected = options.filter((option) => !/^r?idmap$/.test(option));
    assert.deepEqual(told.options, expected, word);
  }
});

/** One of each kind, by its row: how it is asked for, below the place's directory; what must live meanwhile is kept. */
const KINDS: Record<string, (path: string, keep: (held: Disposable) => void) => Partial<Mount>> = {
  "proc, sysfs, devpts, mqueue, cgroup, tmpfs and others of the kernel": () => ({ type: "tmpfs", source: "tmpfs" }),
  "bind of /proc, /sys or below": () => ({ source: "/proc/sys" }),
  "bind of a process's files (/proc/PID)": () => ({ source: "/proc/1" }),
  "bind of another file system of the kernel (debugfs, …)": (path) => {
    Deno.mkdirSync(`${path}/mqueue`);
    mount("mqueue", `${path}/mqueue`, { type: "mqueue" });
    return { source: `${path}/mqueue` };
  },
  "bind of a node that each kernel has (/dev/null, /dev/fuse, …)": () => ({ source: "/dev/null" }),
  "bind of another node": () => ({ source: "/dev/ptmx" }),
  "bind of an emptyDir": (path) => {
    const source = `${path}/volumes/kubernetes.io~empty-dir/one`;
    Deno.mkdirSync(source, { recursive: true });
    mount("tmpfs", source, { type: "tmpfs" });
    return { source };
  },
  "bind of a ConfigMap, Secret, downward API or projected volume": (path) => {
    const source = `${path}/volumes/kubernetes.io~configmap/one`;
    Deno.mkdirSync(`${source}/..2026`, { recursive: true });
    Deno.symlinkSync("..2026", `${source}/..data`);
    return { source, options: ["rbind", "ro"] };
  },
  "bind of a directory or file": (path) => ({ source: `${path}/source` }),
  "bind of a fifo": (path) => {
    new Deno.Command("mkfifo", { args: [`${path}/fifo`] }).outputSync();
    return { source: `${path}/fifo` };
  },
  "bind of a socket": (path, keep) => {
    keep(Deno.listen({ transport: "unix", path: `${path}/socket` }));
    return { source: `${path}/socket` };
  },
};

Deno.test(
  { name: "kind 1: each kind of mounts has the fate of its row, by the handler that it stands for", ignore },
  async () => {
    const seen: string[] = [];
    for (const [handler, fates] of Object.entries(MOUNT_FATES_BY_HANDLER)) {
      for (const [kind, fate] of Object.entries(fates)) {
        const ask = KINDS[kind];
        if (ask === undefined) continue;
        seen.push(kind);
        using place = new Place();
        using held = new DisposableStack();
        const asked = ask(place.path, (one) => void held.use(one));
        if ("refused" in fate) {
          await assert.rejects(place.volume(asked), (error: Error) => error.message.includes(fate.refused), kind);
        } else assert.equal((await place.volume(asked)).handler, handler, kind);
      }
    }
    const all = Object.values(MOUNT_FATES_BY_HANDLER).flatMap((fates) => Object.keys(fates));
    // The engine's own one stands at a path of the host, which is not a test's.
    assert.deepEqual(all.filter((kind) => !seen.includes(kind)), ["bind of /dev/shm"]);
  },
);
