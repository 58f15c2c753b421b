/** Root file system, mounts, devices and what an image may not reach. */
import assert from "node:assert/strict";
import { Box, RUNTIME } from "./runtime.ts";
import { test, testEach } from "./suite.ts";
import { finish } from "../support/command.ts";

test("root: a read-only root refuses writes, a writable one takes them", async () => {
  await using box = new Box();
  assert.equal(await box.output("echo x > /file && cat /file"), "x");
  box.spec.root.readonly = true;
  assert.equal(await box.output("echo x > /other 2>/dev/null || echo refused"), "refused");
});

test("root: the host's root is out of reach", async () => {
  await using box = new Box();
  Deno.writeTextFileSync(`${box.rootfs}/marker`, "");
  assert.equal(
    await box.output("ls /../../.. | grep marker; ls -d /proc/1/root/marker"),
    "marker\n/proc/1/root/marker",
  );
});

test("mounts: bind of a directory and of a file, read-only when asked", async () => {
  await using box = new Box();
  Deno.mkdirSync(`${box.dir}/data`);
  Deno.writeTextFileSync(`${box.dir}/data/f`, "from host");
  box.spec.mounts.push(
    { destination: "/data", source: `${box.dir}/data`, type: "bind", options: ["rbind", "rw"] },
    { destination: "/etc/one", source: `${box.dir}/data/f`, type: "bind", options: ["bind", "ro"] },
  );
  const script = "cat /data/f; echo; echo new > /data/g; cat /etc/one; echo; echo x > /etc/one || echo refused";
  assert.equal(await box.output(`(${script}) 2>/dev/null`), "from host\nfrom host\nrefused");
  assert.equal(Deno.readTextFileSync(`${box.dir}/data/g`), "new\n");
});

test("mounts: a bind over a symlink's target inside the image", async () => {
  await using box = new Box();
  Deno.writeTextFileSync(`${box.dir}/f`, "bound");
  Deno.mkdirSync(`${box.rootfs}/run`);
  Deno.symlinkSync("/run", `${box.rootfs}/var-run`);
  box.spec.mounts.push({ destination: "/var-run/deep/f", source: `${box.dir}/f`, type: "bind", options: ["bind"] });
  assert.equal(await box.output("cat /run/deep/f"), "bound");
});

test("mounts: a tmpfs with tmpcopyup starts with what the image holds there", async () => {
  await using box = new Box();
  const dir = `${box.rootfs}/data`;
  Deno.mkdirSync(`${dir}/sub`, { recursive: true });
  Deno.writeTextFileSync(`${dir}/sub/file`, "text\n", { mode: 0o604 });
  Deno.chownSync(`${dir}/sub/file`, 1000, 2000);
  Deno.symlinkSync("/etc/hostname", `${dir}/link`);
  Deno.chmodSync(dir, 0o750);
  Deno.chownSync(dir, 1000, 2000);
  const options = ["nosuid", "ro", "tmpcopyup"];
  box.spec.mounts.push({ destination: "/data", source: "tmpfs", type: "tmpfs", options });
  const script = "cd /data && cat sub/file && busybox stat -c '%a %u %g' . sub/file && busybox readlink link; : >new";
  const { stdout, stderr } = await box.sh(script).run();
  assert.equal(stdout, "text\n750 0 0\n604 1000 2000\n/etc/hostname\n");
  assert.match(stderr, /Read-only file system/);
  assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name).sort(), ["link", "sub"]);
});

test("mounts: a tmpfs without a mode in a user namespace takes on that of the directory it covers", async () => {
  await using box = new Box();
  const map = [{ containerID: 0, hostID: 0, size: 1000 }];
  box.spec.linux.namespaces.push({ type: "user" });
  Object.assign(box.spec.linux, { uidMappings: map, gidMappings: map });
  Deno.mkdirSync(`${box.rootfs}/narrow`);
  Deno.chmodSync(`${box.rootfs}/narrow`, 0o750);
  for (const destination of ["/narrow", "/new"]) {
    box.spec.mounts.push({ destination, source: "tmpfs", type: "tmpfs", options: ["nosuid"] });
  }
  assert.equal(await box.output("stat -c '%a %n' /narrow /new"), "750 /narrow\n1777 /new");
});

test("runk 12: tmpcopyup takes links with their owners, pipes and devices along", async () => {
  await using box = new Box();
  Deno.mkdirSync(`${box.rootfs}/data`);
  const script =
    "cd $0 && ln -s away link && chown -h 1000:2000 link && mkfifo -m 640 pipe && chown 1000:2000 pipe && " +
    "mknod -m 606 null c 1 3 && chown 5:6 null";
  assert.equal((await finish("sh", { args: ["-c", script, `${box.rootfs}/data`] })).code, 0);
  box.spec.mounts.push({ destination: "/data", source: "tmpfs", type: "tmpfs", options: ["tmpcopyup"] });
  const look = "cd /data && busybox stat -c '%n %F %a %u %g' link pipe null && : >null && echo null";
  const lines = (await box.output(look)).split("\n");
  assert.deepEqual(lines, [
    "link symbolic link 777 1000 2000",
    "pipe fifo 640 1000 2000",
    "null character special file 606 5 6",
    "null",
  ]);
});

test("mounts: a tmpfs without a mode takes on that of the directory it covers", async () => {
  await using box = new Box();
  for (const [dir, mode] of [["/narrow", 0o750], ["/wide", 0o1777]] as const) {
    Deno.mkdirSync(`${box.rootfs}${dir}`);
    Deno.chmodSync(`${box.rootfs}${dir}`, mode);
  }
  for (const destination of ["/narrow", "/wide", "/new"]) {
    box.spec.mounts.push({ destination, source: "tmpfs", type: "tmpfs", options: ["nosuid", "ro"] });
  }
  assert.equal(await box.output("stat -c '%a %n' /narrow /wide /new"), "750 /narrow\n1777 /wide\n1777 /new");
});

test("mounts: tmpfs with size and mode, nosuid, nodev, noexec visible", async () => {
  await using box = new Box();
  const options = ["nosuid", "nodev", "noexec", "mode=1770", "size=1024k"];
  box.spec.mounts.push({ destination: "/scratch", source: "tmpfs", type: "tmpfs", options });
  const text = await box.output("grep ' /scratch ' /proc/mounts; stat -c %a /scratch");
  assert.match(text, /tmpfs rw,nosuid,nodev,noexec,.*size=1024k,mode=1770/);
  assert.match(text, /\n1770$/);
});

test("mounts: the standard ones of a container", async () => {
  await using box = new Box();
  const mounts = await box.output("cut -d' ' -f2,3 /proc/mounts");
  for (
    const want of ["/proc proc", "/dev tmpfs", "/dev/pts devpts", "/dev/shm tmpfs", "/dev/mqueue mqueue", "/sys sysfs"]
  ) {
    assert.ok(mounts.split("\n").includes(want), `${want} is missing in\n${mounts}`);
  }
});

test("mounts: /sys/fs/cgroup shows the container's own cgroup, read-only", async () => {
  await using box = new Box();
  const options = ["nosuid", "noexec", "nodev", "relatime", "ro"];
  box.spec.mounts.push({ destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options });
  const script =
    "mkdir /sys/fs/cgroup/x /sys/fs/cgroup/memory/x 2>/dev/null || echo refused; cat /sys/fs/cgroup/memory/cgroup.procs";
  assert.match(await box.output(`${script} | head -2`), /^refused\n\d+/);
});

testEach([{ own: "its own", namespaces: [{ type: "cgroup" }] }, { own: "the machine's", namespaces: [] }])(
  "mounts: /sys/fs/cgroup in $own cgroup namespace holds neither programs nor devices",
  async ({ namespaces }) => {
    await using box = new Box();
    box.spec.linux.namespaces.push(...namespaces);
    box.spec.mounts.push({ destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup" });
    // Without a namespace of its own, a bind of the machine's cgroup has the options that are given.
    const place = namespaces.length > 0 ? "/sys/fs/cgroup" : "/sys/fs/cgroup ";
    const options = (await box.output(`grep ' ${place}' /proc/mounts | cut -d' ' -f4`)).split("\n");
    for (const one of options) assert.match(one, /nosuid,nodev,noexec/);
  },
);

testEach([{ propagation: "rprivate" }, { propagation: "rslave" }, { propagation: "rshared" }])(
  "mounts: option $propagation takes effect",
  async ({ propagation }) => {
    await using box = new Box();
    Deno.mkdirSync(`${box.dir}/data`);
    const options = ["rbind", propagation];
    box.spec.mounts.push({ destination: "/data", source: `${box.dir}/data`, type: "bind", options });
    box.spec.linux.rootfsPropagation = "rprivate";
    const line = await box.output("grep ' /data ' /proc/self/mountinfo");
    assert.equal(/shared:/.test(line), propagation === "rshared", line);
  },
);

test("B5: a destination with '..' stays inside the root file system", async () => {
  await using box = new Box();
  Deno.mkdirSync(`${box.dir}/data`);
  const name = `oci-escape-${crypto.randomUUID().slice(0, 8)}`;
  const destination = `/../../../../../../../../../../tmp/${name}`;
  box.spec.mounts.push({ destination, source: `${box.dir}/data`, type: "bind", options: ["bind"] });
  assert.equal(await box.output(`ls -d /tmp/${name}`), `/tmp/${name}`);
  assert.throws(() => Deno.statSync(`/tmp/${name}`), Deno.errors.NotFound);
});

test("B5: symlinks of a hostile image cannot lead a mount out", async () => {
  await using box = new Box();
  const outside = `${box.dir}/outside`;
  Deno.mkdirSync(outside);
  Deno.mkdirSync(`${box.dir}/data`);
  Deno.writeTextFileSync(`${box.dir}/data/f`, "inside");
  Deno.symlinkSync(outside, `${box.rootfs}/absolute`);
  Deno.symlinkSync("../../../../../../../../../../../..", `${box.rootfs}/up`);
  for (const destination of ["/absolute/x", `/up${outside}/y`]) {
    box.spec.mounts.push({ destination, source: `${box.dir}/data`, type: "bind", options: ["bind"] });
  }
  await box.sh("true").run();
  assert.deepEqual([...Deno.readDirSync(outside)], []);
});

test("B5: a hostile /dev -> ../../ or /proc -> / leaves the host untouched", async () => {
  await using box = new Box();
  const before = Deno.readTextFileSync("/proc/self/mountinfo");
  Deno.removeSync(`${box.rootfs}/dev`);
  Deno.removeSync(`${box.rootfs}/proc`);
  Deno.symlinkSync("../../", `${box.rootfs}/dev`);
  Deno.symlinkSync("/", `${box.rootfs}/proc`);
  const listing = [...Deno.readDirSync(box.dir)].map(({ name }) => name).filter((name) =>
    !/\.(in|out|err)$/.test(name)
  );
  await box.sh("true").run();
  const after = [...Deno.readDirSync(box.dir)].map(({ name }) => name).filter((name) => !/\.(in|out|err)$/.test(name));
  assert.deepEqual(after.filter((name) => name !== "state").sort(), listing.filter((name) => name !== "state").sort());
  assert.equal(Deno.readTextFileSync("/proc/self/mountinfo"), before);
});

test("masked paths read as empty, read-only paths refuse writes", async () => {
  await using box = new Box();
  Deno.writeTextFileSync(`${box.rootfs}/secret`, "secret");
  Deno.mkdirSync(`${box.rootfs}/hidden/dir`, { recursive: true });
  box.spec.linux.maskedPaths.push("/secret", "/hidden", "/not/there");
  box.spec.linux.readonlyPaths.push("/etc");
  const script =
    "cat /secret; ls /hidden; cat /proc/kcore; ls /sys/firmware; (echo x > /etc/x) 2>/dev/null || echo ro; " +
    "(echo 1 > /proc/sys/kernel/panic) 2>/dev/null || echo ro";
  assert.equal(await box.output(script), "ro\nro");
});

test("masked files are no way to the host's /dev/null", async () => {
  await using box = new Box();
  Deno.writeTextFileSync(`${box.rootfs}/secret`, "secret");
  box.spec.linux.maskedPaths.push("/secret");
  const before = Deno.statSync("/dev/null");
  try {
    await box.sh("chmod 600 /secret; busybox chown 1:1 /secret").run();
    const { mode, uid, gid } = Deno.statSync("/dev/null");
    assert.deepEqual([mode, uid, gid], [before.mode, before.uid, before.gid]);
  } finally {
    Deno.chmodSync("/dev/null", (before.mode ?? 0o666) & 0o7777);
    Deno.chownSync("/dev/null", before.uid, before.gid);
  }
});

test("devices: the default nodes and links are there and work", async () => {
  await using box = new Box();
  const script =
    "cd /dev; for d in null zero full tty urandom random; do stat -c '%n %a %t:%T' $d; done; for l in fd stdin stdout stderr ptmx; do readlink $l; done; " +
    "echo x > null; head -c 4 zero | od -An -tx1";
  assert.deepEqual((await box.output(script)).split("\n").map((line) => line.trim()), [
    "null 666 1:3",
    "zero 666 1:5",
    "full 666 1:7",
    "tty 666 5:0",
    "urandom 666 1:9",
    "random 666 1:8",
    "/proc/self/fd",
    "/proc/self/fd/0",
    "/proc/self/fd/1",
    "/proc/self/fd/2",
    "pts/ptmx",
    "00 00 00 00",
  ]);
});

test("devices: one of the spec is made with its numbers, mode and owner", async () => {
  await using box = new Box();
  box.spec.linux.devices = [{
    path: "/dev/sub/mine",
    type: "c",
    major: 1,
    minor: 3,
    fileMode: 0o640,
    uid: 1000,
    gid: 2000,
  }];
  assert.equal(await box.output("stat -c '%a %u %g %t:%T' /dev/sub/mine"), "640 1000 2000 1:3");
});

/** A device that anybody may open who can reach a node of it: the controller of loop devices. */
const OPENS_FORBIDDEN = "mknod /tmp/k c 10 237 && (: </tmp/k) 2>/dev/null && echo open || echo denied";

test("devices: the cgroup denies what the spec does not allow", async () => {
  await using box = new Box();
  box.spec.process.noNewPrivileges = false;
  box.spec.linux.resources.devices = [
    { allow: false, access: "rwm" },
    { allow: true, type: "c", major: 1, minor: 8, access: "rwm" },
  ];
  const script = `${OPENS_FORBIDDEN}; mknod /tmp/r c 1 8 && head -c1 /tmp/r | wc -c`;
  assert.equal(await box.output(script), "denied\n1");
});

for (
  const [name, resources] of [
    ["without rules", {}],
    ["without resources", undefined],
    ["with one allowed only", { devices: [{ allow: true, type: "c", major: 1, minor: 9, access: "rwm" }] }],
  ] as const
) {
  test(`devices: ${name} all others but the usual are denied`, async () => {
    await using box = new Box();
    box.spec.linux.resources = resources;
    assert.equal(await box.output(`${OPENS_FORBIDDEN}; head -c1 /dev/zero | wc -c`), "denied\n1");
  });
}

test("mounts: an unknown file system type is an error naming the destination", async () => {
  await using box = new Box();
  box.spec.mounts.push({ destination: "/x", type: "nosuchfs", source: "none" });
  const { code, stderr } = await box.run();
  assert.equal(code, 1);
  assert.match(stderr, /nosuchfs|\/x/);
});

test("mounts: a bind of a missing source is an error naming it", async () => {
  await using box = new Box();
  box.spec.mounts.push({ destination: "/x", type: "bind", source: "/no/such/source", options: ["bind"] });
  const { code, stderr } = await box.run();
  assert.equal(code, 1);
  assert.match(stderr, /\/no\/such\/source/);
});

test("mounts: a shared root leaves the mounts of a host whose own root is shared", async () => {
  await using box = new Box();
  box.spec.linux.rootfsPropagation = "rshared";
  box.sh("true").save();
  const table = "cut -d' ' -f5 /proc/self/mountinfo";
  const script = `mount --make-rshared /; ${table} > ${box.dir}/before; ` +
    `${RUNTIME} --root ${box.root} run --bundle ${box.bundle} ${box.id()}; ${table} > ${box.dir}/after`;
  const { code } = await new Deno.Command("unshare", { args: ["--mount", "sh", "-c", script] }).output();
  assert.equal(code, 0);
  assert.equal(Deno.readTextFileSync(`${box.dir}/after`), Deno.readTextFileSync(`${box.dir}/before`));
});

testEach([
  { what: "a bind mount brings a directory", first: { type: "bind", options: ["bind"] }, below: "inner" },
  { what: "a bind mount brings a file", first: { type: "bind", options: ["bind"] }, below: "inner/file" },
  { what: "a bind mount brings itself", first: { type: "bind", options: ["bind"] }, below: "" },
  { what: "a tmpfs is", first: { type: "tmpfs", source: "tmpfs" }, below: "" },
])(
  "runk 53: a bind mount's source may be what an earlier mount of the container has: $what",
  async ({ first, below }) => {
    await using box = new Box();
    Deno.mkdirSync(`${box.dir}/volume/inner`, { recursive: true });
    Deno.writeTextFileSync(`${box.dir}/volume/inner/file`, "brought\n");
    const source = `${box.rootfs}/first${below === "" ? "" : `/${below}`}`;
    box.spec.mounts.push(
      { destination: "/first", source: `${box.dir}/volume`, ...first },
      { destination: "/second", source, type: "bind", options: ["bind"] },
    );
    const script =
      "test -f /second && cat /second || { touch /first/inner/new 2>/dev/null || touch /first/new; ls -R /second; }";
    const { code, stdout, stderr } = await box.sh(script).run();
    assert.equal(code, 0, stderr);
    assert.match(stdout, below === "inner/file" ? /^brought$/m : /^new$/m);
  },
);
