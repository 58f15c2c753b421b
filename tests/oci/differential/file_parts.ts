/** Parts that are of the root file system and its mounts. @module */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Spec } from "../runtime.ts";
import { type Part, part, type Plan, someOf } from "./plan.ts";

const of = fc.constantFrom;

function mount(plan: Plan, destination: string, rest: Spec): void {
  plan.spec.mounts.push({ destination, ...rest });
}

const FLAG_OPTIONS = ["ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime", "relatime", "strictatime", "sync"];
const CLEARING_OPTIONS = ["rw", "suid", "dev", "exec", "atime", "diratime", "norelatime", "async"];
const PROPAGATION = ["private", "rprivate", "slave", "rslave", "shared", "rshared", "unbindable", "runbindable"];
const mountOptions = fc.tuple(
  fc.subarray(FLAG_OPTIONS),
  fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: someOf(...CLEARING_OPTIONS) }),
  fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: of(...PROPAGATION).map((one) => [one]) }),
).map((lists) => lists.flat());

// Apart from each other: runc makes the upper one of two mounts read-only if that is asked of the lower one.
const TMPFS_TARGETS = ["/tmp", "/new", "/etc/../up", "/tmp/below"];
const BIND_TARGETS = ["/data", "/data/deep", "/etc/link", "/sys/fs", "/etc/../over"];

export const FILES = {
  "read-only root": part(fc.constant(null), ({ spec }) => spec.root.readonly = true),
  "absolute root": part(fc.constant(null), ({ spec, box }) => spec.root.path = box.rootfs),
  rootfsPropagation: part(
    of("private", "slave", "rprivate", "rslave", ""),
    ({ spec }, word) => spec.linux.rootfsPropagation = word,
  ),
  hostname: part(of("", "a", "x".repeat(64), "with.dots"), ({ spec }, name) => spec.hostname = name),
  "without default mounts": part(
    someOf("/dev/pts", "/dev/shm", "/dev/mqueue", "/sys", "/dev"),
    ({ spec }, gone) => {
      spec.mounts = spec.mounts.filter(({ destination }: Spec) => !gone.includes(destination));
    },
  ),
  "proc with options": part(
    fc.array(of("nosuid", "noexec", "nodev", "ro", "hidepid=2", "subset=pid"), { maxLength: 3 }),
    ({ spec }, options) => {
      spec.mounts[0].options = options;
    },
  ),
  tmpfs: part(
    fc.record({
      destination: of(...TMPFS_TARGETS),
      options: mountOptions,
      data: fc.subarray(["size=1m", "mode=1770", "uid=1000", "gid=5", "nr_inodes=100", "tmpcopyup"]),
    }),
    (plan, { destination, options, data }) => {
      // Over a directory that is there, runc takes that one's mode all the same.
      const kept = data.filter((word) => !(destination === "/tmp" && word.startsWith("mode=")));
      mount(plan, destination, { type: "tmpfs", source: "tmpfs", options: [...options, ...kept] });
    },
  ),
  "bind of a directory": part(
    fc.record({
      destination: of(...BIND_TARGETS),
      options: mountOptions,
      kind: of("bind", "rbind"),
      type: of("bind", "none"),
    }),
    (plan, { destination, options, kind, type }) => {
      plan.directory("volume/below");
      mount(plan, destination, { type, source: `${plan.box.dir}/volume`, options: [kind, ...options] });
    },
  ),
  "bind of a file": part(
    fc.record({
      destination: of("/etc/new", "/etc/passwd", "/a/b/c", "/dev/extra", "/etc/link/x"),
      options: mountOptions,
    }),
    (plan, { destination, options }) =>
      mount(plan, destination, {
        type: "bind",
        source: plan.file("file", "root:x:0:0::/bound:/bin/sh\n"),
        options: ["rbind", ...options],
      }),
  ),
  "bind of a device": part(
    of("/dev/null", "/dev/zero"),
    (plan, source) => mount(plan, "/dev/extra", { type: "bind", source, options: ["bind", "nosuid"] }),
  ),
  "bind of a relative source": part(fc.constant(null), (plan) => {
    plan.directory("bundle/relative");
    mount(plan, "/relative", { type: "bind", source: "relative", options: ["bind"] });
  }),
  "a destination that is relative": part(
    fc.constant(null),
    (plan) => mount(plan, "relative/tmp", { type: "tmpfs", source: "tmpfs" }),
  ),
  "cgroup mount": part(
    fc.array(of("ro", "nosuid", "noexec", "nodev", "relatime"), { maxLength: 3 }),
    (plan, options) => mount(plan, "/sys/fs/cgroup", { type: "cgroup", source: "cgroup", options }),
  ),
  "sysfs that may be written": part(fc.constant(null), ({ spec }) => {
    const sys = spec.mounts.find(({ destination }: Spec) => destination === "/sys");
    if (sys !== undefined) sys.options = ["nosuid", "noexec", "nodev"];
  }),
  "a second proc": part(fc.constant(null), (plan) => mount(plan, "/tmp/proc", { type: "proc", source: "proc" })),
  "dev of the host": part(fc.constant(null), (plan) => {
    const { spec, hasConsole } = plan;
    if (hasConsole) return; // which runc cannot place there
    spec.mounts = spec.mounts.filter(({ destination }: Spec) => !destination.startsWith("/dev"));
    spec.mounts.push({
      destination: "/dev",
      type: "bind",
      source: ownDevices(plan),
      options: ["rbind", "nosuid", "rslave"],
    });
  }),
  maskedPaths: part(
    someOf("/proc/kcore", "/etc/group", "/no/such", "/etc/link", "/dev/null", "/tmp"),
    ({ spec }, paths) => spec.linux.maskedPaths = paths,
  ),
  readonlyPaths: part(
    someOf("/proc/sys", "/etc/group", "/bin", "/no/such", "/etc/link", "/dev/shm", "/proc/sysrq-trigger"),
    ({ spec }, paths) => spec.linux.readonlyPaths = paths,
  ),
  "neither masked nor read-only paths": part(fc.constant(null), ({ spec }) => {
    delete spec.linux.maskedPaths;
    delete spec.linux.readonlyPaths;
  }),
  devices: part(
    fc.uniqueArray(
      fc.record({
        node: of(
          { path: "/dev/extra", type: "c", major: 1, minor: 5 },
          { path: "/dev/net/tun", type: "c", major: 10, minor: 200 },
          { path: "/tmp/device", type: "c", major: 1, minor: 7 },
          { path: "/dev/disk", type: "b", major: 254, minor: 0 },
          { path: "/dev/pipe", type: "p" },
          { path: "/dev/unbuffered", type: "u", major: 1, minor: 3 },
          { path: "/dev/fuse", type: "c", major: 10, minor: 229 },
        ),
        access: fc.record(
          { fileMode: of(0o600, 0o666, 0o20666), uid: of(0, 1000), gid: of(0, 5) },
          { requiredKeys: [] },
        ),
      }),
      { selector: ({ node }) => node.path, minLength: 1, maxLength: 3 },
    ),
    ({ spec }, devices) => spec.linux.devices = devices.map(({ node, access }) => ({ ...node, ...access })),
  ),
} satisfies Record<string, Part>;

/** As the host's /dev, but the container's own: what one makes in it, such as a node, no later one finds. */
function ownDevices(plan: Plan): string {
  const path = plan.directory("dev");
  for (const name of ["pts", "shm", "mqueue"]) Deno.mkdirSync(`${path}/${name}`);
  for (const [name, target] of [["fd", ""], ["stdin", "/0"], ["stdout", "/1"], ["stderr", "/2"]]) {
    Deno.symlinkSync(`/proc/self/fd${target}`, `${path}/${name}`);
  }
  const nodes = ["null", "zero", "full", "random", "urandom", "tty"].map((name) => `/dev/${name}`);
  assert.ok(new Deno.Command("cp", { args: ["-a", ...nodes, path] }).outputSync().success);
  return path;
}
