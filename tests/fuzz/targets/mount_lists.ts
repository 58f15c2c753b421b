/** Mounts as containerd and the kubelet tell them: what is read from the words, and what is shown to the guest. @module */
import { defaultConfig } from "../../../src/config/schema.ts";
import { parseMountOptions } from "../../../src/linux/mount/mount_options.ts";
import { parseMountInfo } from "../../../src/linux/mount/mountinfo.ts";
import type { Mount } from "../../../src/oci/spec/spec.ts";
import { GUEST_PATH } from "../../../src/agent_api/names.ts";
import { shortenOverlay } from "../../../src/resources/rootfs/overlay.ts";
import { shareRootfs } from "../../../src/resources/rootfs/share.ts";
import { SharedDirectory } from "../../../src/resources/share_fs.ts";
import { findEmptyDir } from "../../../src/resources/volumes/empty_dir.ts";
import { attachAll } from "../../../src/resources/resource.ts";
import { NO_DISKS } from "../../../src/resources/testing/no_disks.ts";
import { prepareVolumes } from "../../../src/resources/volumes/volumes.ts";
import { missingForBox } from "../core/box.ts";
import { watchMachine } from "../core/left.ts";
import { anyRootMounts, placeMounts } from "../core/mounts.ts";
import type { Random } from "../core/random.ts";
import { defineTarget, hold, type Scratch } from "../core/target.ts";
import { anyText, mutateText, textLike } from "../core/text.ts";
import { anyTree, plantTree } from "../core/trees.ts";

const LAYERS = [
  "/var/lib/containerd/snapshots/1/fs",
  "/var/lib/containerd/snapshots/22/fs",
  "/a",
  "/a/b",
  "/",
  "a",
  "",
];
const OPTIONS = [
  "ro",
  "rw",
  "rro",
  "rbind",
  "bind",
  "rslave",
  "rprivate",
  "nosuid",
  "size=64k",
  "mode=755",
  "index=off",
];
const EMPTY_DIR = "/var/lib/kubelet/pods/1/volumes/kubernetes.io~empty-dir/cache";
const TABLE = [
  "22 1 253:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw",
  `36 22 0:40 / ${EMPTY_DIR} rw,noatime - tmpfs tmpfs rw,size=1024k`,
  "37 22 0:40 /sub /var/lib/kubelet/pods/1/volume-subpaths/cache/two/0 rw - tmpfs tmpfs rw,size=1024k",
  `38 22 253:1 ${EMPTY_DIR}/a /mnt/b rw - ext4 /dev/vda1 rw`,
].join("\n");
const SOURCES = [EMPTY_DIR, `${EMPTY_DIR}/a/b`, "/var/lib/kubelet/pods/1/volume-subpaths/cache/two/0", "/mnt/b/c", "/"];

export const mountWords = defineTarget({
  name: "mount-words",
  rounds: 1500,
  make: (random) => ({
    layers: random.times(random.once(4) ? random.between(100, 300) : random.few(5), () => textLike(random, LAYERS)),
    options: random.times(random.few(6), () => textLike(random, OPTIONS)),
    table: random.once(2) ? mutateText(random, TABLE) : TABLE,
    source: textLike(random, SOURCES),
  }),
  run({ layers, options, table, source }) {
    const data = [...options, `lowerdir=${layers.join(":")}`, "upperdir=/u"].join(",");
    const { directory, data: short } = shortenOverlay(data);
    hold(directory !== undefined || short === data, "options that stay where they are stay as they are");
    hold(directory === undefined || directory.startsWith("/"), "the directory to mount from is absolute");
    if (directory !== undefined) {
      const whole = short.replace(
        /(^|,)lowerdir=([^,]*)/,
        (_, comma, lower) =>
          `${comma}lowerdir=${lower.split(":").map((layer: string) => `${directory}/${layer}`).join(":")}`,
      );
      hold(whole === data, "layers are the same from the directory as they were before");
    }
    const found = findEmptyDir(source, parseMountInfo(table));
    hold(!found?.key.includes("/") && found?.name !== "", "the key of an emptyDir is one component");
    parseMountOptions(options);
  },
});

const VOLUME_SOURCES = [
  "DIR/source",
  "DIR/source/a",
  "DIR/source/a/b",
  "DIR/source/link",
  "DIR/source/etc",
  "OUTSIDE/deep",
  "OUTSIDE/file",
  "OUTSIDE/link",
  "/proc",
  "//proc/self",
  "/proc/1/root",
  "/sys/fs/cgroup",
  "/dev/null",
  "/dev/shm",
  "/dev/pts",
  "/run",
  "tmpfs",
  "source",
];
const DESTINATIONS = ["/data", "/data/a", "/etc/hosts", "/dev/shm", "/", "/proc", "a/../b", "/link/x"];

function anyVolume(random: Random): Mount {
  return {
    destination: textLike(random, DESTINATIONS),
    source: textLike(random, VOLUME_SOURCES),
    type: textLike(random, ["bind", "bind", "bind", "tmpfs", "proc"]),
    options: random.times(random.few(4), () => textLike(random, OPTIONS)),
  };
}

/** One that can be read by the guest is seen only below its own place. */
const SHARED = `${GUEST_PATH.passthrough}/`;

export const sharedMounts = defineTarget({
  name: "shared-mounts",
  rounds: 5,
  isBoxed: true,
  missing: missingForBox,
  make: (random) => ({
    tree: anyTree(random),
    rootfs: anyRootMounts(random),
    isReadOnly: random.once(2),
    volumes: random.times(random.between(1, 5), () => anyVolume(random)),
    id: random.once(12) ? anyText(random).slice(0, 300).toWellFormed() : "c1",
  }),
  async run({ tree, rootfs, isReadOnly, volumes, id }, scratch) {
    const { inside, outside } = scratch;
    for (const name of ["lower", "upper", "work", "rootfs"]) Deno.mkdirSync(`${inside}/${name}`, { recursive: true });
    plantTree(`${inside}/source`, tree, scratch);
    const nothingStays = watchMachine();
    try {
      const mounts = volumes.map((volume) => ({ ...volume, source: place(volume.source, scratch) }));
      using directory = new SharedDirectory(`${inside}/shares`, "s1");
      using share = directory.container(id);
      const context = { config: defaultConfig(), sandboxId: "s1", share, bundle: inside };
      await using made = await prepareVolumes(mounts, context);
      await using parts = await attachAll(made.all, NO_DISKS, { signal: AbortSignal.abort() });
      for (const { mount: { source = "", type } } of parts.all) {
        const isOfHost = type === "bind" && (source.startsWith(inside) || source.startsWith(outside));
        hold(!isOfHost, `a bind mount's source is the guest's own or below ${SHARED}, not "${source}"`);
      }
      using _root = shareRootfs(share, {
        mounts: placeMounts(rootfs, inside),
        path: `${inside}/rootfs`,
        ...(isReadOnly && { readOnly: made.all.map(({ point }) => point) }),
      });
    } finally {
      await nothingStays();
    }
  },
});

function place(source: string | undefined, { inside, outside }: Scratch): string {
  return (source ?? "").replaceAll("DIR", inside).replaceAll("OUTSIDE", outside);
}
