/** The container engine on the real kernel: root file system, mounts, devices. Needs root and busybox-static. */
import assert from "node:assert/strict";
import { detectCgroups } from "../../src/linux/cgroup/cgroup.ts";
import { readMountInfo } from "../../src/linux/mount/mountinfo.ts";
import { Container } from "../../src/oci/container/container.ts";
import { Bundle, isReady, NOT_READY } from "./oci_bundle.ts";
import { leftOut } from "../../src/base/testing/left_out.ts";

const ignore = leftOut(import.meta, !isReady() && NOT_READY);

/** Names below a directory of the host that only root may change: what a hostile image would want to reach. */
function outside(bundle: Bundle): string {
  const path = `${bundle.path}/outside`;
  Deno.mkdirSync(path, { recursive: true });
  Deno.writeTextFileSync(`${path}/secret`, "host");
  return path;
}

Deno.test.each([
  {
    link: "/data -> ../../../outside",
    target: (out: string) => `../../../../../../../../..${out}`,
    destination: "/data",
  },
  { link: "/data -> an absolute path of the host", target: (out: string) => out, destination: "/data" },
  { link: "/data -> /, destination /data/../../x", target: () => "/", destination: "/data/../../../x" },
  { link: "/data -> /proc/1/root", target: () => "/proc/1/root", destination: "/data/tmp" },
])("B5: a mount through $link stays inside the root", { ignore }, async ({ target, destination }) => {
  using bundle = new Bundle();
  const host = outside(bundle);
  const before = [...Deno.readDirSync(host)].length;
  Deno.symlinkSync(target(host), `${bundle.rootfs}/data`);
  const change: Parameters<Bundle["run"]>[1] = ({ mounts }) => {
    mounts.unshift({ destination, type: "tmpfs", source: "marker" });
  };
  const { output } = await bundle.run(["sh", "-c", "grep -c ^marker /proc/mounts || cat /proc/mounts"], change)
    .catch((error: Error) => ({ output: `refused: ${error.message}` }));
  // Whatever became of the mount, the host's files are as they were.
  assert.ok(output === "1" || output.startsWith("refused"), output);
  assert.equal(Deno.readTextFileSync(`${host}/secret`), "host");
  assert.equal([...Deno.readDirSync(host)].length, before);
});

Deno.test({ name: "B5: a dangling link is made to point at something inside the root", ignore }, async () => {
  using bundle = new Bundle();
  Deno.writeTextFileSync(`${bundle.path}/resolv`, "nameserver 10.0.0.1");
  Deno.symlinkSync("../run/systemd/resolv.conf", `${bundle.rootfs}/etc/resolv.conf`);
  const { output } = await bundle.run(["cat", "/etc/resolv.conf"], ({ mounts }) => {
    mounts.push({ destination: "/etc/resolv.conf", source: "resolv", options: ["bind", "ro"] });
  });
  assert.equal(output, "nameserver 10.0.0.1");
});

Deno.test.each([
  { name: "proc", target: "/" },
  { name: "proc", target: "/tmp" },
  { name: "sys", target: "../../.." },
])("B5: /$name as a link to $target is refused", { ignore }, async ({ name, target }) => {
  using bundle = new Bundle();
  Deno.removeSync(`${bundle.rootfs}/${name}`);
  Deno.symlinkSync(target, `${bundle.rootfs}/${name}`);
  await assert.rejects(Container.create(bundle.options(bundle.spec(["true"]))), { code: "INVALID_ARGUMENT" });
  assert.deepEqual(bundle.leftovers(), []);
});

Deno.test({ name: "B5: /dev as a link out of the root does not touch the host's /dev", ignore }, async () => {
  using bundle = new Bundle();
  const before = Deno.statSync("/dev/null").rdev;
  Deno.removeSync(`${bundle.rootfs}/dev`);
  Deno.symlinkSync("../../../../../../../dev", `${bundle.rootfs}/dev`);
  const spec = bundle.spec(["ls", "/dev"]);
  await Container.create(bundle.options(spec)).then((container) => container.delete(), () => {});
  assert.equal(Deno.statSync("/dev/null").rdev, before);
  assert.deepEqual(bundle.leftovers(), []);
});

Deno.test({ name: "A working directory that leads out by a descriptor of ours is not entered", ignore }, async () => {
  using bundle = new Bundle();
  for (let fd = 3; fd < 20; fd++) {
    const spec = bundle.spec(["ls", ".."], ({ process }) => process.cwd = `/proc/self/fd/${fd}`);
    await assert.rejects(Container.create(bundle.options(spec)));
  }
  assert.deepEqual(bundle.leftovers(), []);
});

Deno.test({ name: "Mount options reach the mount; bind mounts are read-only when they say so", ignore }, async () => {
  using bundle = new Bundle();
  const host = outside(bundle);
  const script =
    "grep -E '/(flags|ro|rw|tree) ' /proc/mounts | cut -d' ' -f2,4; touch /ro/x /ro/sub/y; touch /rw/new && echo written";
  Deno.mkdirSync(`${host}/sub`);
  const { output } = await bundle.run(["sh", "-c", script], ({ mounts }) => {
    mounts.push(
      {
        destination: "/flags",
        type: "tmpfs",
        source: "t",
        options: ["nosuid", "nodev", "noexec", "noatime", "size=1m"],
      },
      { destination: "/ro", source: host, options: ["rbind", "ro", "nosuid"] },
      { destination: "/rw", source: host, options: ["bind", "rw", "rprivate"] },
      { destination: "/tree", source: host, options: ["rbind", "rro"] },
    );
  });
  const lines = output.split("\n");
  assert.match(lines[0]!, /^\/flags rw,nosuid,nodev,noexec,noatime,size=1024k/);
  assert.match(lines[1]!, /^\/ro ro,nosuid/);
  assert.match(lines[2]!, /^\/rw rw/);
  assert.match(lines[3]!, /^\/tree ro/);
  assert.match(output, /\/ro\/x: Read-only file system/);
  assert.match(output, /written$/);
  Deno.removeSync(`${host}/new`);
});

Deno.test({ name: "A single file is mounted on a file that did not exist", ignore }, async () => {
  using bundle = new Bundle();
  const { output } = await bundle.run(["cat", "/deep/down/file"], ({ mounts }) => {
    mounts.push({ destination: "/deep/down/file", source: `${outside(bundle)}/secret`, type: "bind" });
  });
  assert.equal(output, "host");
});

Deno.test(
  { name: "Masked paths read as nothing, read-only paths refuse writing, and the root too", ignore },
  async () => {
    using bundle = new Bundle();
    Deno.mkdirSync(`${bundle.rootfs}/hidden`);
    Deno.writeTextFileSync(`${bundle.rootfs}/hidden/file`, "x");
    Deno.mkdirSync(`${bundle.rootfs}/fixed`);
    const script =
      "cat /etc/passwd | wc -c; ls /hidden; touch /fixed/x; touch /x; touch /hidden/x; echo 1 >/proc/sys/kernel/hostname";
    const { output } = await bundle.run(["sh", "-c", script], (spec) => {
      spec.root = { path: "rootfs", readonly: true };
      spec.linux.maskedPaths = ["/etc/passwd", "/hidden", "/not/there", "/proc/kcore"];
      spec.linux.readonlyPaths = ["/fixed", "/proc/sys", "/not/there"];
    });
    assert.match(output, /^0\n/);
    for (const path of ["/fixed/x", "/x", "/hidden/x", "/proc/sys/kernel/hostname"]) {
      assert.match(output, new RegExp(`${path}: Read-only file system`, "i"));
    }
  },
);

Deno.test({ name: "Devices are made with mode and owner, and only those that are allowed open", ignore }, async () => {
  using bundle = new Bundle();
  const script = "stat -c '%a %u %g %t:%T' /dev/mine; cat /dev/null && echo null; cat /dev/mine";
  const { output } = await bundle.run(["sh", "-c", script], ({ linux }) => {
    linux.devices = [{ path: "/dev/mine", type: "c", major: 1, minor: 11, fileMode: 0o640, uid: 1, gid: 2 }];
    linux.resources = { devices: [{ allow: false, access: "rwm" }] };
  });
  assert.match(output, /^640 1 2 1:b\nnull\n/);
  assert.match(output, /'\/dev\/mine': Operation not permitted/);
});

Deno.test({ name: "noPivotRoot moves the root instead", ignore }, async () => {
  using bundle = new Bundle();
  const options = { ...bundle.options(bundle.spec(["sleep", "100"])), noPivotRoot: true };
  const container = await Container.create(options);
  await container.start();
  assert.deepEqual(
    [...Deno.readDirSync(`/proc/${container.pid}/root`)].map(({ name }) => name).toSorted(),
    [...Deno.readDirSync(bundle.rootfs)].map(({ name }) => name).toSorted(),
  );
  await container.delete({ force: true });
});

Deno.test({ name: "A cgroup mount shows the container's own group as the root", ignore }, async () => {
  using bundle = new Bundle();
  const mount = {
    destination: "/sys/fs/cgroup",
    type: "cgroup",
    source: "cgroup",
    options: ["ro", "nosuid", "noexec", "nodev"],
  };
  const group = detectCgroups().mode === "v2" ? "" : "pids/";
  const script = `cd /sys/fs/cgroup; cat ${group}cgroup.procs; mkdir x ${group}x`;
  for (const own of [true, false]) {
    const { output } = await bundle.run(["sh", "-c", script], ({ mounts, linux }) => {
      mounts.push(mount);
      if (own) linux.namespaces!.push({ type: "cgroup" });
    });
    assert.match(output, /^1\n/);
    assert.equal(output.match(/Read-only file system/g)?.length, 2);
  }
});

Deno.test({ name: "rootfsPropagation is set on the container's root, and never on ours", ignore }, async () => {
  using bundle = new Bundle();
  const root = () => readMountInfo().find(({ mountPoint }) => mountPoint === "/");
  const before = root();
  for (const word of ["shared", "rslave", "private"]) {
    const { output } = await bundle.run(
      ["grep", "-E", "^[0-9]+ [0-9]+ [^ ]+ [^ ]+ / ", "/proc/self/mountinfo"],
      (spec) => {
        spec.linux.rootfsPropagation = word;
      },
    );
    assert.equal(/shared:/.test(output), word === "shared", output);
  }
  assert.deepEqual(root(), before);
});
