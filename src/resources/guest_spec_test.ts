import assert from "node:assert/strict";
import { defaultConfig } from "../config/schema.ts";
import type { DeviceRule, Linux, Spec } from "../oci/spec/spec.ts";
import { keptFromGuest, toGuestResources, toGuestSpec } from "./guest_spec.ts";

function guestSpec(spec: Partial<Spec>, config = defaultConfig()): Spec {
  return toGuestSpec({ ociVersion: "1.2.0", ...spec }, {
    config,
    type: "single_container",
    bundle: "/bundle",
    rootfs: "/guest/rootfs",
    mounts: [{ destination: "/proc", type: "proc" }],
  });
}

function guestLinux(linux: Linux, config = defaultConfig()): Linux {
  return guestSpec({ linux }, config).linux!;
}

Deno.test("toGuestSpec() replaces root and mounts, adds the agent's annotations and drops the host's hooks", () => {
  const spec = guestSpec({
    root: { path: "rootfs", readonly: true },
    hooks: { prestart: [{ path: "/bin/true" }] },
    annotations: { a: "b" },
    hostname: "h",
  });
  assert.deepEqual(spec, {
    ociVersion: "1.2.0",
    hostname: "h",
    root: { path: "/guest/rootfs", readonly: true },
    mounts: [{ destination: "/proc", type: "proc" }],
    annotations: {
      a: "b",
      "io.katacontainers.pkg.oci.bundle_path": "/bundle",
      "io.katacontainers.pkg.oci.container_type": "single_container",
    },
  });
});

Deno.test("toGuestSpec() drops the labels of the host's security modules", () => {
  const process = { user: { uid: 1, gid: 2 }, cwd: "/", apparmorProfile: "docker", selinuxLabel: "s0" };
  assert.deepEqual(guestSpec({ process }).process, { user: { uid: 1, gid: 2 }, cwd: "/" });
  assert.equal(guestLinux({ mountLabel: "s0" }).mountLabel, undefined);
});

Deno.test("toGuestSpec() keeps namespaces that the guest makes itself, without the host's paths", () => {
  const types = ["pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"] as const;
  const { namespaces } = guestLinux({ namespaces: types.map((type) => ({ type, path: `/proc/1/ns/${type}` })) });
  assert.deepEqual(namespaces, [{ type: "mount" }, { type: "ipc" }, { type: "uts" }, { type: "user" }]);
});

Deno.test("toGuestSpec() drops limits that only the host can keep", () => {
  const { resources } = guestLinux({
    resources: {
      devices: [{ allow: false }],
      pids: { limit: 5 },
      blockIO: { weight: 10 },
      network: { classID: 1 },
      memory: { limit: 1 << 20 },
      cpu: { shares: 512, cpus: "0-3", mems: "0" },
    },
  });
  const devices = [{ allow: false, access: "rwm" }];
  assert.deepEqual(resources, { memory: { limit: 1 << 20 }, cpu: { shares: 512 }, pids: { limit: 5 }, devices });
});

Deno.test("pods A8: toGuestResources() keeps a limit of processes, in an update too: they are the guest's", () => {
  for (const limit of [20, -1, 0]) assert.deepEqual(toGuestResources({ pids: { limit } }), { pids: { limit } });
});

Deno.test("pods B12: toGuestResources() keeps files of a v2 group that are no hardware's", () => {
  const unified = { "memory.high": "1000", "io.max": "8:0 rbps=1", "cpuset.cpus": "0", "pids.max": "5" };
  assert.deepEqual(toGuestResources({ unified }), { unified: { "memory.high": "1000", "pids.max": "5" } });
});

Deno.test("pods B12: keptFromGuest() names the limits that nobody keeps, and none that is empty", () => {
  const blockIO = {
    weight: 10,
    leafWeight: 0,
    weightDevice: [],
    throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 1 }],
  };
  const unified = { "io.max": "8:0 rbps=1", "memory.high": "1" };
  assert.deepEqual(keptFromGuest({ blockIO, network: { classID: 1, priorities: [] }, unified, pids: { limit: 5 } }), [
    "linux.resources.blockIO.weight: disks and the network are the machine's as a whole",
    "linux.resources.blockIO.throttleReadBpsDevice: disks and the network are the machine's as a whole",
    "linux.resources.network.classID: disks and the network are the machine's as a whole",
    "linux.resources.unified.io.max: disks and CPUs are numbered as the host's",
  ]);
  assert.deepEqual(keptFromGuest({ blockIO: { weight: 0 }, memory: { limit: 1 } }), []);
});

Deno.test("toGuestSpec() passes the seccomp profile unless the configuration says otherwise", () => {
  const seccomp = { defaultAction: "SCMP_ACT_ALLOW" };
  const config = defaultConfig();
  assert.deepEqual(guestLinux({ seccomp }, config).seccomp, seccomp);
  config.runtime.disable_guest_seccomp = true;
  assert.equal(guestLinux({ seccomp }, config).seccomp, undefined);
});

Deno.test("toGuestSpec() passes disks of the host only to a container that asks for them", () => {
  const disk = { path: "/dev/sda", type: "b", major: 8, minor: 0, fileMode: 0o640 } as const;
  assert.deepEqual(guestLinux({ devices: [disk] }).devices, [disk]);
  const resources = { devices: [{ allow: true, access: "rwm" }] };
  const paths = guestLinux({ devices: [disk], resources }).devices!.map(({ path }) => path);
  assert.ok(!paths.includes(disk.path), paths.join());
});

Deno.test("toGuestSpec() drags no hardware of the host into a privileged container", () => {
  const [zero, fuse, console] = [
    { path: "/dev/zero0", type: "c", major: 1, minor: 5, fileMode: 0o600 },
    { path: "/dev/fuse", type: "c", major: 10, minor: 229, fileMode: 0o666 },
    { path: "/dev/tty9", type: "c", major: 4, minor: 9 },
  ] as const;
  const kvm = { path: "/dev/kvm", type: "c", major: 10, minor: 232 } as const;
  const resources = { devices: [{ allow: false, access: "rwm" }, { allow: true, access: "rwm" }] };
  const devices = guestLinux({ devices: [zero, fuse, console, kvm], resources }).devices!;
  // Besides those that the guest's kernel offers itself.
  assert.deepEqual(devices.slice(0, 2), [zero, fuse]);
  assert.ok(!devices.some(({ path }) => path === console.path || path === kvm.path));
});

Deno.test("toGuestSpec() keeps rules for the kernel's own devices, and lets only a privileged container use all", () => {
  const all = { access: "rwm" };
  const fuse = { allow: true, type: "c", major: 10, minor: 229, access: "rw" } as const;
  const others = [
    { allow: true, type: "c", major: 242, minor: 1, access: "rwm" },
    { allow: true, type: "b", major: 8, access: "rwm" },
    { allow: true, type: "c", access: "m" },
  ] as const;
  const rules = (...devices: DeviceRule[]) => guestLinux({ resources: { devices } }).resources?.devices;
  assert.deepEqual(rules({ allow: false, ...all }, fuse, ...others), [{ allow: false, ...all }, fuse]);
  assert.deepEqual(rules({ allow: false, ...all }, { allow: true, ...all }), [{ allow: true, ...all }]);
});

Deno.test.each([
  { path: "/default/c1", guest: "/default/c1" },
  { path: "kubepods.slice:cri-containerd:c1", guest: "/kubepods.slice/cri-containerd-c1.scope" },
])("toGuestSpec() makes cgroup $path $guest", ({ path, guest }) => {
  assert.equal(guestLinux({ cgroupsPath: path }).cgroupsPath, guest);
});
