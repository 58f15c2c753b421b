/** Mounts on the real kernel, each test below a directory of its own that it leaves empty. Needs root. */
import assert from "node:assert/strict";
import { SharedMounts } from "../../src/agent/container/shared_mounts.ts";
import { GUEST_PATH } from "../../src/agent_api/names.ts";
import type { GuardedPath } from "../../src/linux/fs/guarded_path.ts";
import { forgetUnusedNames } from "../../src/linux/fs/dentries.ts";
import { bindMount, mount, remountBind, setPropagation, umount, umountTree } from "../../src/linux/mount/mount.ts";
import { mountSetattr, moveMount, openTree } from "../../src/linux/mount/mount_tree.ts";
import {
  findMount,
  isMountPoint,
  type MountInfo,
  mountsBelow,
  readMountInfo,
} from "../../src/linux/mount/mountinfo.ts";
import { MOUNT_ATTR, MS, parseMountOptions } from "../../src/linux/mount/mount_options.ts";
import { openNamespace } from "../../src/linux/process/namespace.ts";
import { FILE_SYSTEM_MAGIC, statfs } from "../../src/linux/fs/statfs.ts";
import { SyscallProgram } from "../../src/linux/child_program/program.ts";
import { leftOutUnlessRoot } from "../../src/base/testing/left_out.ts";

const ignore = leftOutUnlessRoot(import.meta);

/** A directory with the given ones in it; disposing it fails if something is still mounted there. */
class Place implements Disposable {
  readonly path = Deno.makeTempDirSync({ prefix: "mount_test-" });

  directory(name: string): string {
    Deno.mkdirSync(`${this.path}/${name}`, { recursive: true });
    return `${this.path}/${name}`;
  }

  mountOf(path: string): MountInfo {
    return findMount(readMountInfo(), path)!;
  }

  [Symbol.dispose](): void {
    const left = mountsBelow(readMountInfo(), this.path);
    umountTree(this.path);
    Deno.removeSync(this.path, { recursive: true });
    assert.deepEqual(left, []);
  }
}

Deno.test({ name: "mount() mounts with flags and data until it is disposed", ignore }, () => {
  using place = new Place();
  const target = place.directory("a b");
  {
    const { flags, data } = parseMountOptions(["nosuid", "noexec", "size=64k", "mode=700"]);
    using mounted = mount("scratch", target, { type: "tmpfs", flags, data });
    assert.equal(mounted.target, target);
    const { type, source, options, superOptions } = place.mountOf(target);
    assert.deepEqual([type, source], ["tmpfs", "scratch"]);
    assert.ok(options.includes("nosuid") && options.includes("noexec") && superOptions.includes("size=64k"));
    assert.equal(statfs(target).magic, FILE_SYSTEM_MAGIC.tmpfs);
    assert.equal(statfs(target).blocks * statfs(target).blockSize, 65536);
    mounted[Symbol.dispose]();
  }
  assert.ok(!isMountPoint(readMountInfo(), target));
});

Deno.test({ name: "mount() names source and target, and refuses options that the kernel would cut", ignore }, () => {
  using place = new Place();
  assert.throws(() => mount("/dev/null", place.path, { type: "ext4" }), {
    message: `mount /dev/null on ${place.path}: ENOTBLK`,
  });
  assert.throws(() => mount("none", place.path, { type: "overlay", data: "x".repeat(4096) }), RangeError);
  assert.throws(() => umount(place.path), { message: `umount ${place.path}: EINVAL` });
});

Deno.test({ name: "bindMount() read-only keeps the flags of its source", ignore }, () => {
  using place = new Place();
  const [source, target] = [place.directory("s"), place.directory("t")];
  using _source = mount("s", source, { type: "tmpfs", flags: MS.NOSUID | MS.NODEV | MS.NOATIME });
  using _target = bindMount(source, target, { readOnly: true });
  assert.deepEqual(place.mountOf(target).options.toSorted(), ["noatime", "nodev", "nosuid", "ro"]);
  assert.throws(() => Deno.writeTextFileSync(`${target}/x`, ""), { code: "EROFS" });
  Deno.writeTextFileSync(`${source}/x`, "");
  remountBind(target, { flags: 0, cleared: MS.RDONLY | MS.NODEV });
  assert.deepEqual(place.mountOf(target).options.toSorted(), ["noatime", "nosuid", "rw"]);
});

Deno.test({ name: "bindMount() shows a file, and mounts below a directory only if recursive", ignore }, () => {
  using place = new Place();
  const [source, flat, deep] = [place.directory("s/inner"), place.directory("flat"), place.directory("deep")];
  Deno.writeTextFileSync(`${place.path}/file`, "content");
  Deno.writeTextFileSync(`${place.path}/file2`, "");
  using _file = bindMount(`${place.path}/file`, `${place.path}/file2`);
  assert.equal(Deno.readTextFileSync(`${place.path}/file2`), "content");
  using _inner = mount("inner", source, { type: "tmpfs" });
  using _flat = bindMount(`${place.path}/s`, flat);
  using _deep = bindMount(`${place.path}/s`, deep, { recursive: true });
  assert.ok(!isMountPoint(readMountInfo(), `${flat}/inner`));
  assert.ok(isMountPoint(readMountInfo(), `${deep}/inner`));
});

Deno.test({ name: "umountTree() takes away everything below a path, stacked mounts too", ignore }, () => {
  using place = new Place();
  const target = place.directory("t");
  for (const layer of ["one", "two"]) mount(layer, target, { type: "tmpfs" });
  mount("three", place.directory("t/below"), { type: "tmpfs" });
  umountTree(target);
  assert.deepEqual(mountsBelow(readMountInfo(), place.path), []);
  umountTree(target);
});

Deno.test({ name: "setPropagation() lets a slave hear of mounts, and not be heard", ignore }, () => {
  using place = new Place();
  const [source, target] = [place.directory("s"), place.directory("t")];
  using _source = mount("s", source, { type: "tmpfs" });
  setPropagation(source, MS.SHARED);
  using _target = bindMount(source, target);
  setPropagation(target, MS.SLAVE);
  assert.equal(place.mountOf(target).master, place.mountOf(source).shared);
  Deno.mkdirSync(`${source}/new`);
  mount("new", `${source}/new`, { type: "tmpfs" });
  assert.ok(isMountPoint(readMountInfo(), `${target}/new`));
  umount(`${target}/new`);
  assert.ok(isMountPoint(readMountInfo(), `${source}/new`));
  umountTree(`${source}/new`);
});

Deno.test({ name: "openTree(), mountSetattr() and moveMount() place a changed copy of a tree", ignore }, () => {
  using place = new Place();
  const [source, target] = [place.directory("s"), place.directory("t")];
  using _source = mount("s", source, { type: "tmpfs" });
  Deno.mkdirSync(`${source}/inner`);
  using _inner = mount("inner", `${source}/inner`, { type: "tmpfs" });
  {
    using tree = openTree(source, { clone: true, recursive: true });
    mountSetattr(tree, { set: MOUNT_ATTR.RDONLY | MOUNT_ATTR.NOSUID, recursive: true });
    moveMount(tree, target);
  }
  using _moved = { [Symbol.dispose]: () => umountTree(target) };
  assert.ok(place.mountOf(`${target}/inner`).options.includes("ro"));
  assert.ok(place.mountOf(`${source}/inner`).options.includes("rw"));
  mountSetattr(target, { clear: MOUNT_ATTR.RDONLY });
  assert.ok(place.mountOf(target).options.includes("rw"));
  assert.ok(place.mountOf(`${target}/inner`).options.includes("ro"));
});

Deno.test({ name: "mountSetattr() maps the owners of a detached tree", ignore }, async () => {
  using place = new Place();
  const [source, target] = [place.directory("s"), place.directory("t")];
  using _source = mount("s", source, { type: "tmpfs" });
  Deno.writeTextFileSync(`${source}/file`, "");
  await using holder = new SyscallProgram().call("ppoll", [null, 0, null, null, 0]).start({ flags: ["newuser"] });
  for (const map of ["uid_map", "gid_map"]) Deno.writeTextFileSync(`/proc/${holder.pid}/${map}`, "0 100000 10");
  using userNamespace = openNamespace("user", holder.pid);
  using tree = openTree(source, { clone: true });
  mountSetattr(tree, { set: MOUNT_ATTR.IDMAP, userNamespace });
  using _target = moveMount(tree, target);
  const { uid, gid } = Deno.statSync(`${target}/file`);
  assert.deepEqual([uid, gid], [100000, 100000]);
  assert.equal(Deno.statSync(`${source}/file`).uid, 0);
  holder.kill("SIGKILL");
});

Deno.test.each([{ word: "rro" }, { word: "rnoatime" }, { word: "rstrictatime" }, { word: "rrelatime" }, {
  word: "rnosymfollow",
}])("mountSetattr() takes what parseMountOptions() makes of $word", ({ word }) => {
  if (ignore) return;
  using place = new Place();
  using _ = mount("t", place.path, { type: "tmpfs" });
  mountSetattr(place.path, { ...parseMountOptions([word]).recursive, recursive: true });
});

Deno.test({ name: "forgetUnusedNames() changes nothing about a mount, and names what is none", ignore }, () => {
  using place = new Place();
  const target = place.directory("mounted");
  using _ = mount("t", target, { type: "tmpfs", ...parseMountOptions(["ro", "nosuid", "nodev", "size=64k"]) });
  const before = place.mountOf(target);
  forgetUnusedNames(target);
  assert.deepEqual(place.mountOf(target), before);
  assert.throws(() => forgetUnusedNames(place.directory("plain")), { message: `fspick ${place.path}/plain: EINVAL` });
});

Deno.test(
  { name: "SharedMounts.use() holds none of a container's mounts where one of them cannot be had", ignore },
  () => {
    const path = Deno.makeTempDirSync();
    using undo = new DisposableStack();
    undo.defer(() => {
      umountTree(path);
      Deno.removeSync(path, { recursive: true });
    });
    Deno.mkdirSync(`${path}/good`);
    Deno.symlinkSync("good", `${path}/link`);
    const isMounted = () => readMountInfo().some(({ mountPoint }) => mountPoint === `${path}/good`);
    mount("tmpfs", `${path}/good`, { type: "tmpfs" });
    const shared = new SharedMounts();
    const guard = (source: string): GuardedPath => ({
      base: source.replace(GUEST_PATH.passthrough, path),
      links: "none",
    });
    const use = (...names: string[]) => {
      const mounts = names.map((name) => ({ destination: `/${name}`, source: `${GUEST_PATH.passthrough}/${name}` }));
      return shared.use({ ociVersion: "1.2.0", mounts }, guard);
    };
    const other = use("good");
    assert.throws(() => use("good", "link"), { code: "PERMISSION_DENIED" });
    assert.ok(isMounted(), "it is another container's too");
    other[Symbol.dispose]();
    assert.ok(!isMounted());
  },
);
