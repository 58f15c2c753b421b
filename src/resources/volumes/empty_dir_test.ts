import assert from "node:assert/strict";
import { parseMountInfo } from "../../linux/mount/mountinfo.ts";
import { findEmptyDir } from "./empty_dir.ts";

const POD = "/var/lib/kubelet/pods/6f1d";
const DISK = `${POD}/volumes/kubernetes.io~empty-dir/disk`;
const MEMORY = `${POD}/volumes/kubernetes.io~empty-dir/memory`;
const UNLIMITED = `${POD}/volumes/kubernetes.io~empty-dir/unlimited`;
const PART = `${POD}/volume-subpaths`;

/** Mounts of a node: kubelet's tmpfs, and bind mounts of parts (`subPath`). */
const MOUNTS = parseMountInfo(`20 1 8:1 / / rw - ext4 /dev/sda1 rw
21 20 0:40 / /run rw - tmpfs tmpfs rw,size=100k
30 20 0:50 / ${MEMORY} rw - tmpfs tmpfs rw,size=4096k
31 20 0:51 / ${UNLIMITED} rw - tmpfs tmpfs rw
40 20 8:1 ${DISK}/a/b ${PART}/disk/one/0 rw - ext4 /dev/sda1 rw
41 20 0:50 /c ${PART}/memory/one/1 rw - tmpfs tmpfs rw,size=4096k
`);

Deno.test.each([
  { source: MEMORY, found: { name: "memory", path: "", inMemory: true, size: "4096k" } },
  { source: UNLIMITED, found: { name: "unlimited", path: "", inMemory: true, size: undefined } },
  { source: DISK, found: { name: "disk", path: "", inMemory: false, size: undefined } },
  { source: `${PART}/disk/one/0`, found: { name: "disk", path: "/a/b", inMemory: false, size: undefined } },
  { source: `${PART}/memory/one/1`, found: { name: "memory", path: "/c", inMemory: true, size: "4096k" } },
  { source: `${POD}/volumes/kubernetes.io~configmap/map`, found: undefined },
  { source: "/run/data", found: undefined },
  { source: "/", found: undefined },
])("B15: findEmptyDir() knows what $source is", ({ source, found }) => {
  assert.deepEqual(findEmptyDir(source, MOUNTS), found);
});

Deno.test("findEmptyDir() takes one on disk for that where the kubelet's directory is a tmpfs", () => {
  const mounts = parseMountInfo(`20 1 0:9 / / rw - tmpfs tmpfs rw,size=9k\n`);
  assert.deepEqual(findEmptyDir(DISK, mounts), { name: "disk", path: "", inMemory: false, size: undefined });
});
