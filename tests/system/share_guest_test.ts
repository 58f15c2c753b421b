/**
 * The shared directory against a guest that works in it as root: the test does so through the exported view, as virtiofsd
 * would for it. Needs root.
 */
import assert from "node:assert/strict";
import { createLogger } from "../../src/base/log.ts";
import { defaultConfig } from "../../src/config/schema.ts";
import { exists } from "../../src/base/files.ts";
import { isErrno } from "../../src/linux/ffi/errno.ts";
import { Fd, O_DIRECTORY, O_PATH, O_RDONLY, pathOf } from "../../src/linux/io/fd.ts";
import { openInRoot } from "../../src/linux/fs/in_root.ts";
import { FILE_SYSTEM_MAGIC, statfs } from "../../src/linux/fs/statfs.ts";
import { MS } from "../../src/linux/mount/mount_options.ts";
import { copyWithoutKernel } from "../../src/resources/kernel_mounts.ts";

import { makeDeep } from "../../src/linux/fs/testing/deep.ts";
import { removePath } from "../../src/linux/fs/remove_tree.ts";
import { bindMount, mount, umountTree } from "../../src/linux/mount/mount.ts";
import { readMountInfo } from "../../src/linux/mount/mountinfo.ts";
import { type ContainerShare, SharedDirectory } from "../../src/resources/share_fs.ts";
import { shareRootfs } from "../../src/resources/rootfs/share.ts";
import { attachAll } from "../../src/resources/resource.ts";
import { NO_DISKS } from "../../src/resources/testing/no_disks.ts";
import { prepareVolumes } from "../../src/resources/volumes/volumes.ts";
import { GUEST_PATH } from "../../src/agent_api/names.ts";
import { until } from "../support/wait.ts";

const NO_WRITE = { code: "EROFS" };

/** A shared directory with a root file system in it, and files of the host that are nobody's business. */
class Box implements AsyncDisposable {
  readonly path = Deno.makeTempDirSync({ prefix: "kata-share-" });
  readonly victim = this.dir("victim");
  readonly share = new SharedDirectory(`${this.path}/shared`, "s1");
  /** Directory as the guest's root has it. */
  readonly guest = this.share.source;
  readonly #stack = new AsyncDisposableStack();
  readonly #warnings: Record<string, unknown>[] = [];
  readonly log = createLogger({ sink: (line, level) => level === "warning" && this.#warnings.push(JSON.parse(line)) });

  dir(name: string): string {
    Deno.mkdirSync(`${this.path}/${name}`, { recursive: true });
    return `${this.path}/${name}`;
  }

  container(id: string): ContainerShare {
    return this.#stack.use(this.share.container(id));
  }

  /** Lines of the log, by their fields. */
  get warnings(): readonly Record<string, unknown>[] {
    return this.#warnings;
  }

  /** Shares one bind mount. @returns Where the guest has it, and its source in the guest's configuration. */
  async bind(
    source: string,
    options: readonly string[],
    destination = "/v",
  ): Promise<{ seen: string; told: string }> {
    const share = this.container(crypto.randomUUID());
    const context = { config: defaultConfig(), sandboxId: "s1", bundle: this.path, share, log: this.log };
    const mount = { destination, type: "bind", source, options: [...options] };
    const { all } = this.#stack.use(await prepareVolumes([mount], context));
    const { all: [made] } = await attachAll(all, NO_DISKS, { signal: AbortSignal.abort() });
    const told = made?.mount.source ?? "";
    return { told, seen: `${this.guest}${told.slice(GUEST_PATH.shared.length)}` };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
    this.share[Symbol.dispose]();
    assert.deepEqual(readMountInfo().filter(({ mountPoint }) => mountPoint.startsWith(this.path)), []);
    assert.deepEqual([...Deno.readDirSync(this.victim)], []);
    assert.deepEqual([...Deno.readDirSync(`${this.path}/shared`)], []);
    Deno.removeSync(this.path, { recursive: true });
  }
}

Deno.test("F1: the guest cannot rename, replace, make or remove anything where the host mounts", async () => {
  await using box = new Box();
  using container = box.container("c1");
  using _rootfs = shareRootfs(container, { mounts: [], path: box.dir("rootfs") });
  const places = ["", "/passthrough", "/passthrough/c1"];
  for (const place of places.map((name) => `${box.guest}${name}`)) {
    assert.throws(() => Deno.mkdirSync(`${place}/new`), NO_WRITE);
    assert.throws(() => Deno.writeTextFileSync(`${place}/new`, ""), NO_WRITE);
    assert.throws(() => Deno.symlinkSync(box.victim, `${place}/link`), NO_WRITE);
    assert.throws(() => Deno.chmodSync(place, 0o777), NO_WRITE);
  }
  for (const [from, to] of [["passthrough", "gone"], ["passthrough/c1", "passthrough/gone"]]) {
    assert.throws(() => Deno.renameSync(`${box.guest}/${from}`, `${box.guest}/${to}`), NO_WRITE);
    assert.throws(() => Deno.removeSync(`${box.guest}/${from}`), /EROFS|EBUSY|Read-only|busy/);
  }
  // What is the container's own stays so.
  Deno.writeTextFileSync(`${box.guest}/passthrough/c1/rootfs/mine`, "");
  assert.ok(Deno.statSync(`${box.path}/rootfs/mine`).isFile);
});

Deno.test("F1: links and renames in what the guest may write lead no mount and no removal elsewhere", async () => {
  await using box = new Box();
  const source = box.dir("source/a/b");
  using _below = mount("tmpfs", source, { type: "tmpfs" });
  using _apart = mount("tmpfs", box.dir("apart/b"), { type: "tmpfs" });
  const { seen } = await box.bind(`${box.path}/source`, ["rbind"]);
  assert.equal(readMountInfo().filter(({ mountPoint }) => mountPoint === `${seen}/a/b`).length, 1);
  // The way to the inner mount is the guest's to change.
  Deno.renameSync(`${seen}/a`, `${seen}/moved`);
  Deno.symlinkSync(`${box.path}/apart`, `${seen}/a`);
  const points = () => readMountInfo().map(({ mountPoint }) => mountPoint);
  box.share[Symbol.dispose]();
  assert.ok(points().includes(`${box.path}/apart/b`));
  assert.ok(points().includes(`${box.path}/source/moved/b`));
  umountTree(`${box.path}/source`);
});

Deno.test("F1: a tree of 1,500 levels in a volume keeps nothing from being taken away", async () => {
  await using box = new Box();
  const { seen } = await box.bind(box.dir("source"), ["rbind"]);
  using top = Fd.open(seen, O_RDONLY | O_DIRECTORY);
  makeDeep(top, { name: "d", depth: 1_500 });
  box.share[Symbol.dispose]();
  assert.ok(Deno.statSync(`${box.path}/source/d/d/d`).isDirectory);
  removePath(`${box.path}/source`);
});

Deno.test("F11: what is read-only is so on the host, with what is mounted within, for rbind and bind alike", async () => {
  await using box = new Box();
  const source = box.dir("source");
  using _inner = mount("tmpfs", box.dir("source/inner"), { type: "tmpfs" });
  for (const options of [["rbind", "ro"], ["rbind", "rro"], ["rbind", "ro", "rslave"], ["rbind", "rprivate", "ro"]]) {
    const { seen } = await box.bind(source, options);
    for (const path of [seen, `${seen}/inner`]) {
      assert.throws(() => Deno.writeTextFileSync(`${path}/x`, ""), NO_WRITE, `${path} of ${options}`);
    }
  }
  const { seen } = await box.bind(source, ["bind", "ro"]);
  assert.throws(() => Deno.writeTextFileSync(`${seen}/x`, ""), NO_WRITE);
  for (const options of [["rbind", "rw"], ["rbind"], ["rbind", "ro", "rrw"]]) {
    const { seen } = await box.bind(source, options);
    for (const path of [seen, `${seen}/inner`]) Deno.writeTextFileSync(`${path}/x`, "");
  }
  // The host's own mounts are as they were.
  Deno.writeTextFileSync(`${source}/inner/x`, "");
});

Deno.test("F11: what is mounted later below a volume appears in it, but not below a read-only one, which a line says", async () => {
  await using box = new Box();
  const source = box.dir("source");
  using _own = bindMount(source, source);
  mount("", source, { flags: 1 << 20 }); // MS_SHARED, as on any host that systemd runs
  const [closed, asked, open] = [
    (await box.bind(source, ["rbind", "ro"])).seen,
    (await box.bind(source, ["rbind", "ro", "rslave"])).seen,
    (await box.bind(source, ["rbind"])).seen,
  ];
  using _late = mount("tmpfs", box.dir("source/late"), { type: "tmpfs" });
  Deno.writeTextFileSync(`${source}/late/file`, "late");
  assert.equal(Deno.readTextFileSync(`${open}/late/file`), "late");
  // It would come with the flags that it has on the host, whatever the volume's are.
  for (const path of [closed, asked]) assert.throws(() => Deno.statSync(`${path}/late/file`), { code: "ENOENT" });
  assert.deepEqual(box.warnings.map(({ volume }) => volume), [source]);
});

Deno.test("F16: kernel file systems of the host below a volume are left out, with all that is in them, which a line says", async () => {
  await using box = new Box();
  const source = box.dir("source");
  using _proc = mount("proc", box.dir("source/proc"), { type: "proc" });
  using _sys = mount("sysfs", box.dir("source/deep/sys"), { type: "sysfs" });
  using _inner = mount("tmpfs", box.dir("source/deep/sys/fs"), { type: "tmpfs" });
  using _stacked = mount("proc", box.dir("source/proc"), { type: "proc" });
  using _covered = mount("tmpfs", box.dir("source/deep/sys/fs"), { type: "tmpfs" });
  using _pts = mount("devpts", box.dir("source/pts"), { type: "devpts" });
  using _kept = mount("tmpfs", box.dir("source/kept"), { type: "tmpfs" });
  using _below = mount("proc", box.dir("source/kept/proc"), { type: "proc" });
  Deno.writeTextFileSync(`${source}/kept/file`, "mine");
  const seenBy = (path: string) => {
    for (const name of ["proc", "deep/sys", "pts", "kept/proc"]) {
      assert.deepEqual([...Deno.readDirSync(`${path}/${name}`)], [], `${path}/${name}`);
    }
    assert.equal(Deno.readTextFileSync(`${path}/kept/file`), "mine");
  };
  for (const options of [["rbind", "ro"], ["rbind"], ["rbind", "rslave"], ["rbind", "rprivate"]]) {
    seenBy((await box.bind(source, options)).seen);
  }
  const without = (path: string) => `${source}/${path}`;
  assert.equal(box.warnings.length, 3, "one for each tree: the second and the third are one");
  assert.deepEqual(box.warnings[0]!.left, ["deep/sys", "kept/proc", "proc", "pts"].map(without));
  using container = box.container("c1");
  using _rootfs = shareRootfs(container, { mounts: [], path: source, log: box.log });
  seenBy(`${box.guest}/passthrough/c1/rootfs`);
  // The host's own are as they were, and nothing that happens here reaches them.
  assert.ok(Deno.statSync(`${source}/proc/self`).isDirectory);
  assert.ok(Deno.statSync(`${source}/kept/proc/self`).isDirectory);
});

Deno.test("F16: kernel file systems are left out where the guest has moved the way to them, and through no link", async () => {
  await using box = new Box();
  const source = box.dir("source");
  using _apart = mount("proc", box.dir("apart/proc"), { type: "proc" });
  using _proc = mount("proc", box.dir("source/a/proc"), { type: "proc" });
  const { seen } = await box.bind(source, ["rbind"]);
  Deno.renameSync(`${seen}/a`, `${seen}/moved`);
  Deno.symlinkSync(`${box.path}/apart`, `${seen}/a`);
  assert.deepEqual([...Deno.readDirSync(`${(await box.bind(source, ["rbind"])).seen}/moved/proc`)], []);
  for (const path of ["apart/proc", "source/moved/proc"]) assert.ok(Deno.statSync(`${box.path}/${path}/self`), path);
  Deno.removeSync(`${source}/a`);
  Deno.renameSync(`${source}/moved`, `${source}/a`);
});

Deno.test("F16: kernel file systems are left out whose name is no text, and a volume is refused where one hides what to add", async () => {
  await using box = new Box();
  const source = box.dir("source");
  using _proc = mount("proc", box.dir("source/a/proc"), { type: "proc" });
  const move = (from: string, to: string) => {
    const script = 'cd "$1" && mv "$(printf "$2")" "$(printf "$3")"';
    assert.ok(new Deno.Command("sh", { args: ["-c", script, "sh", source, from, to] }).outputSync().success);
  };
  move("a", "a\\377");
  using _back = { [Symbol.dispose]: () => move("a\\377", "a") };
  const { seen } = await box.bind(source, ["rbind"]);
  const list = new Deno.Command("sh", { args: ["-c", 'ls "$1"/*/proc', "sh", seen] }).outputSync();
  assert.deepEqual({ success: list.success, length: list.stdout.length }, { success: true, length: 0 });
  using _kept = mount("tmpfs", box.dir("source/b/kept"), { type: "tmpfs" });
  move("b", "b\\377");
  using _backToo = { [Symbol.dispose]: () => move("b\\377", "b") };
  await assert.rejects(box.bind(source, ["rbind"]), { message: /Cannot leave out kernel file systems.*no text/ });
});

Deno.test("F16: kernel file systems are left out of a volume whose path has passed to another directory, or leads there no more", async () => {
  await using box = new Box();
  using source = Fd.open(box.dir("source"), O_PATH | O_DIRECTORY);
  using _proc = mount("proc", box.dir("source/proc"), { type: "proc" });
  using _kept = mount("tmpfs", box.dir("source/kept"), { type: "tmpfs" });
  Deno.renameSync(`${box.path}/source`, `${box.path}/moved`);
  const path = `${box.path}/source`;
  const copy = () => {
    using tree = copyWithoutKernel(source, { path, stage: box.share.stage, propagation: MS.PRIVATE });
    assert.deepEqual([...Deno.readDirSync(`${pathOf(tree)}/proc`)], []);
  };
  copy();
  {
    using _other = mount("tmpfs", box.dir("source/kept"), { type: "tmpfs" });
    assert.throws(copy, { message: /Cannot leave out kernel file systems/ });
  }
  Deno.removeSync(`${box.path}/source`, { recursive: true });
  Deno.renameSync(`${box.path}/moved`, `${box.path}/source`);
});

Deno.test("F16: kernel file systems are left out, also where the way to them leads out of the volume for a moment", async () => {
  await using box = new Box();
  using source = Fd.open(box.dir("source"), O_PATH | O_DIRECTORY);
  using _proc = mount("proc", box.dir("source/a/proc"), { type: "proc" });
  using _kept = mount("tmpfs", box.dir("source/kept"), { type: "tmpfs" });
  const [inside, outside] = [`${box.path}/source/a`, `${box.path}/a`];
  const script = `for (;;) { Deno.renameSync("${inside}", "${outside}"); Deno.renameSync("${outside}", "${inside}"); }`;
  const mover = new Deno.Command(Deno.execPath(), { args: ["eval", script] }).spawn();
  try {
    await until(() => !exists(inside));
    for (let count = 0; count < 300; count++) {
      using tree = copyWithoutKernel(source, {
        path: `${box.path}/source`,
        stage: box.share.stage,
        propagation: MS.PRIVATE,
      });
      // The copy sees the move as well.
      for (;;) {
        try {
          using proc = openInRoot(tree, "a/proc", { flags: O_PATH });
          assert.notEqual(statfs(pathOf(proc)).magic, FILE_SYSTEM_MAGIC.proc, `copy ${count}`);
          break;
        } catch (error) {
          if (!isErrno(error, "ENOENT", "EAGAIN", "EXDEV")) throw error;
        }
      }
    }
  } finally {
    mover.kill("SIGKILL");
    await mover.status;
    if (exists(outside)) Deno.renameSync(outside, inside);
  }
});

Deno.test("F14: devices and programs with other users' rights have no effect on the host in what the guest may write", async () => {
  await using box = new Box();
  using container = box.container("c1");
  using _rootfs = shareRootfs(container, { mounts: [], path: box.dir("rootfs") });
  const flags = () =>
    readMountInfo().filter(({ mountPoint }) => mountPoint.startsWith(`${box.path}/shared/s1/`)).filter((each) =>
      !["nodev", "nosuid"].every((flag) => each.options.includes(flag))
    ).map(({ mountPoint }) => mountPoint);
  await box.bind(box.dir("source"), ["rbind"]);
  assert.deepEqual(flags(), []);
});

Deno.test.each([
  { source: "/proc", told: "/proc" },
  { source: "//proc", told: "/proc" },
  { source: "/../proc/", told: "/proc" },
  { source: "/proc/./sys/kernel", told: "/proc/sys/kernel" },
  { source: "LINK", told: "/proc" },
  { source: "LINK/sys", told: "/proc/sys" },
  { source: "ELSEWHERE", told: "/proc" },
  { source: "ELSEWHERE/sys/kernel", told: "/proc/sys/kernel" },
  { source: "PART", told: "/proc/sys/net" },
  { source: "/sys/kernel", told: "/sys/kernel" },
  { source: "//sys", told: "/sys" },
])("F16, A15: $source as a volume is the guest's own $told", async ({ source, told }) => {
  await using box = new Box();
  Deno.symlinkSync("/proc", `${box.path}/LINK`);
  using _elsewhere = mount("proc", box.dir("ELSEWHERE"), { type: "proc" });
  using _part = bindMount("/proc/sys/net", box.dir("PART"));
  const path = source.startsWith("/") ? source : `${box.path}/${source}`;
  assert.equal((await box.bind(path, ["rbind"])).told, told);
});

Deno.test("F16: what a process of the host has in /proc, and namespaces, are refused by name", async () => {
  await using box = new Box();
  const refused = (source: string) => assert.rejects(box.bind(source, ["bind"]), { code: "UNIMPLEMENTED" });
  await refused("/proc/self");
  await refused(`/proc/${Deno.pid}/ns/net`);
});

Deno.test("B2: a device over a file is the guest's device, one that the guest does not have is refused by name", async () => {
  await using box = new Box();
  for (const name of ["null", "zero", "urandom"]) {
    assert.equal((await box.bind(`/dev/${name}`, ["rbind", "ro"], "/etc/shadow")).told, `/dev/${name}`);
  }
  const node = `${box.path}/node`;
  const make = (kind: string, numbers: readonly string[]) =>
    assert.ok(new Deno.Command("mknod", { args: [node, kind, ...numbers] }).outputSync().success);
  make("c", ["10", "200"]);
  assert.equal((await box.bind(node, ["bind"])).told, "/dev/net/tun");
  for (const [kind, ...numbers] of [["c", "4", "64"], ["b", "8", "0"], ["p"]]) {
    Deno.removeSync(node);
    make(kind!, numbers);
    await assert.rejects(box.bind(node, ["bind"], "/dev/x"), (error: Error) => {
      return error.message.startsWith(`Cannot mount "${node}" on "/dev/x": `);
    });
  }
  using _socket = Deno.listen({ transport: "unix", path: `${box.path}/socket` });
  await assert.rejects(box.bind(`${box.path}/socket`, ["bind"]), { code: "UNIMPLEMENTED" });
});

Deno.test("B10: a user's volume at /dev/shm is used as asked, the engine's own shared memory is the guest's", async () => {
  await using box = new Box();
  using _engine = mount("shm", box.dir("engine/shm"), { type: "tmpfs" });
  using _users = mount("tmpfs", box.dir("memory"), { type: "tmpfs" });
  assert.equal((await box.bind(`${box.path}/engine/shm`, ["rbind"], "/dev/shm")).told, GUEST_PATH.shm);
  assert.equal((await box.bind("/dev/shm", ["rbind"], "/dev/shm/")).told, GUEST_PATH.shm);
  for (const source of [box.dir("users"), `${box.path}/memory`]) {
    Deno.writeTextFileSync(`${source}/file`, "mine");
    assert.equal(Deno.readTextFileSync(`${(await box.bind(source, ["rbind"], "/dev/shm")).seen}/file`), "mine");
  }
});

Deno.test("F11: a read-only root file system is so for the guest, with all that it needs to mount in it", async () => {
  await using box = new Box();
  using container = box.container("c1");
  Deno.mkdirSync(`${box.dir("rootfs")}/run`);
  Deno.symlinkSync("../run/kept", `${box.path}/rootfs/link`);
  Deno.symlinkSync(box.victim, `${box.path}/rootfs/out`);
  using _rootfs = shareRootfs(container, {
    mounts: [],
    path: `${box.path}/rootfs`,
    readOnly: [
      { destination: "/proc", node: "directory" },
      { destination: "/etc/hosts", node: "file" },
      { destination: "/link/secrets/", node: "directory" },
      { destination: "/run/kept/secrets/below", node: "directory" },
      { destination: "/out/x", node: "file" },
      { destination: "/", node: "directory" },
    ],
  });
  const root = `${box.guest}/passthrough/c1/rootfs`;
  for (const name of ["proc", "run/kept/secrets"]) assert.ok(Deno.statSync(`${root}/${name}`).isDirectory, name);
  assert.ok(Deno.statSync(`${root}/etc/hosts`).isFile);
  assert.throws(() => Deno.statSync(`${root}/run/kept/secrets/below`), { code: "ENOENT" });
  assert.throws(() => Deno.writeTextFileSync(`${root}/x`, ""), NO_WRITE);
});
