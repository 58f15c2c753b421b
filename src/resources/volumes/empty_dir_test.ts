import assert from "node:assert/strict";
import { parseMountInfo } from "../../linux/mount/mountinfo.ts";
import { defaultConfig } from "../../config/schema.ts";
import { NO_DISKS } from "../testing/no_disks.ts";
import { type EmptyDir, emptyDirVolume, findEmptyDir } from "./empty_dir.ts";
import { Source } from "./source.ts";
import type { BindMount, VolumeContext } from "./volume.ts";

const POD = "/var/lib/kubelet/pods/6f1d";
const DISK = `${POD}/volumes/kubernetes.io~empty-dir/disk`;
const MEMORY = `${POD}/volumes/kubernetes.io~empty-dir/memory`;
const UNLIMITED = `${POD}/volumes/kubernetes.io~empty-dir/unlimited`;
const HUGE = `${POD}/volumes/kubernetes.io~empty-dir/huge`;
const PART = `${POD}/volume-subpaths`;

/** Mounts of a node: kubelet's tmpfs, and bind mounts of parts (`subPath`). */
const MOUNTS = parseMountInfo(`20 1 8:1 / / rw - ext4 /dev/sda1 rw
21 20 0:40 / /run rw - tmpfs tmpfs rw,size=100k
30 20 0:50 / ${MEMORY} rw - tmpfs tmpfs rw,size=4096k
32 20 0:52 / ${HUGE} rw - hugetlbfs nodev rw,pagesize=2M
31 20 0:51 / ${UNLIMITED} rw - tmpfs tmpfs rw
40 20 8:1 ${DISK}/a/b ${PART}/disk/one/0 rw - ext4 /dev/sda1 rw
41 20 0:50 /c ${PART}/memory/one/1 rw - tmpfs tmpfs rw,size=4096k
`);

/** Leaves its key out. */
function assertFound(source: string, mounts: typeof MOUNTS, expected: Omit<EmptyDir, "key"> | undefined): void {
  const { key: _, ...found } = findEmptyDir(source, mounts) ?? { key: "" };
  assert.deepEqual(found, expected ?? {});
}

Deno.test.each([
  { source: MEMORY, found: { name: "memory", path: "", inMemory: true, size: "4096k" } },
  { source: UNLIMITED, found: { name: "unlimited", path: "", inMemory: true, size: undefined } },
  { source: DISK, found: { name: "disk", path: "", inMemory: false, size: undefined } },
  { source: `${PART}/disk/one/0`, found: { name: "disk", path: "/a/b", inMemory: false, size: undefined } },
  { source: `${PART}/memory/one/1`, found: { name: "memory", path: "/c", inMemory: true, size: "4096k" } },
  { source: `${POD}/volumes/kubernetes.io~configmap/map`, found: undefined },
  { source: "/run/data", found: undefined },
  { source: "/", found: undefined },
  { source: HUGE, found: { name: "huge", path: "", inMemory: true, size: undefined, isHuge: true } },
])("B15: findEmptyDir() knows what $source is", ({ source, found }) => {
  assertFound(source, MOUNTS, found);
});

Deno.test("findEmptyDir() takes one on disk for that where the kubelet's directory is a tmpfs", () => {
  const mounts = parseMountInfo(`20 1 0:9 / / rw - tmpfs tmpfs rw,size=9k\n`);
  assertFound(DISK, mounts, { name: "disk", path: "", inMemory: false, size: undefined });
});

const OTHER = "/var/lib/kubelet/pods/77aa/volumes/kubernetes.io~empty-dir";
const MOUNTS_OF_TWO = [
  ...MOUNTS,
  ...parseMountInfo(`50 20 0:60 / ${OTHER}/memory rw - tmpfs tmpfs rw,size=4096k\n`),
];

Deno.test.each([
  { what: "in memory", one: MEMORY, part: `${PART}/memory/one/1`, other: `${OTHER}/memory` },
  { what: "on disk", one: DISK, part: `${PART}/disk/one/0`, other: `${OTHER}/disk` },
])(
  "findEmptyDir() tells one $what from another pod's of its name, and a part of it belongs to it",
  ({ one, part, other }) => {
    const keys = [one, part, other].map((source) => findEmptyDir(source, MOUNTS_OF_TWO)?.key);
    assert.equal(keys[0], keys[1]);
    assert.notEqual(keys[0], keys[2]);
    for (const key of keys) assert.match(key!, /^[^/:,]+$/);
  },
);

/** An emptyDir's directory, in the given place of the mount table. */
async function withEmptyDir(type: string, body: (bind: BindMount, context: VolumeContext) => Promise<void>) {
  const root = await Deno.makeTempDir();
  try {
    const path = `${root}/volumes/kubernetes.io~empty-dir/one`;
    await Deno.mkdir(path, { recursive: true });
    const table = () => parseMountInfo(`20 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 20 0:50 / ${path} rw - ${type}\n`);
    const mount = { destination: "/one", source: path, type: "bind", options: ["rbind"] };
    using source = new Source(mount, { bundle: "/", table });
    await body({ mount, source }, { config: defaultConfig(), share: undefined as never });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test.each([
  { what: "that of the node is none for a guest", type: "tmpfs tmpfs rw,size=24632320k", sizes: [] },
  { what: "one as large as the guest is none", type: "tmpfs tmpfs rw,size=524288k", sizes: [] },
  { what: "one that the guest can hold is kept", type: "tmpfs tmpfs rw,size=4096k", sizes: ["size=4096k"] },
  { what: "none is none", type: "tmpfs tmpfs rw", sizes: [] },
])(
  "kubernetes K6: emptyDirVolume sizes memory by the guest's and never by the host's: $what",
  async ({ type, sizes }) => {
    await withEmptyDir(type, async (bind, context) => {
      await using volume = await emptyDirVolume.prepare(bind, context);
      const { storages } = await volume.attach(NO_DISKS, { signal: AbortSignal.abort() });
      assert.deepEqual(storages?.[0]?.options?.filter((option) => option.startsWith("size=")), sizes);
    });
  },
);

Deno.test("kubernetes K5: emptyDirVolume leaves one on disk to the kubelet's directory if that is to be used, and none in memory", async () => {
  for (
    const [type, disabled, expected] of [["ext4 /dev/sdb rw", true, false], ["tmpfs tmpfs rw", true, true]] as const
  ) {
    await withEmptyDir(type, (bind, context) => {
      context.config.runtime.disable_guest_empty_dir = disabled;
      return Promise.resolve(assert.equal(emptyDirVolume.matches(bind, context), expected, type));
    });
  }
});

Deno.test("emptyDirVolume refuses huge pages by name: the guest has reserved none", async () => {
  await withEmptyDir("hugetlbfs nodev rw,pagesize=2M", async (bind, context) => {
    assert.ok(emptyDirVolume.matches(bind, context));
    await assert.rejects(async () => await emptyDirVolume.prepare(bind, context), /emptyDir of huge pages/);
  });
});
