import assert from "node:assert/strict";
import type { CgroupLayout } from "../../linux/cgroup/cgroup.ts";
import { MOUNT_ATTR, MS, parseMountOptions } from "../../linux/mount/mount_options.ts";
import { deferReadOnlyDev, hasOwnDev, planMounts } from "./plan.ts";
import { attributesOf } from "./mounts.ts";
import type { Linux, Mount } from "../spec/spec.ts";

const v1: CgroupLayout = {
  mode: "v1",
  root: "/cg",
  unified: undefined,
  v1: new Map([["cpu", "/cg/cpu,cpuacct"], ["cpuacct", "/cg/cpu,cpuacct"], ["systemd", "/cg/systemd"]]),
  unifiedControllers: new Set(),
};

function plan(mount: Mount, cgroup: { layout?: CgroupLayout; hasNamespace?: boolean } = {}, linux?: Linux) {
  const paths = { "": "/cg/c1", cpu: "/cg/cpu,cpuacct/c1", systemd: "/cg/systemd/c1" };
  const context = { layout: v1, hasNamespace: false, paths, ...cgroup };
  return planMounts([mount], { rootfs: "/nonexistent", bundle: "/tmp", cgroup: context, linux });
}

Deno.test.each<{ why: string; mount: Mount }>([
  { why: "it would be the root itself", mount: { destination: "/x/..", type: "proc" } },
  { why: "inside /proc", mount: { destination: "/proc/sys/x", type: "tmpfs" } },
  { why: "only proc may be mounted there", mount: { destination: "/proc", type: "tmpfs" } },
  { why: "neither a type nor the option bind", mount: { destination: "/x", source: "/y" } },
  { why: "a bind mount needs a source", mount: { destination: "/x", type: "bind" } },
  { why: "mapped ids need", mount: { destination: "/x", source: "/tmp", options: ["bind", "idmap"] } },
  { why: "for bind mounts only", mount: { destination: "/x", type: "tmpfs", options: ["idmap"] } },
])("planMounts() refuses a mount: $why", ({ why, mount }) => {
  assert.throws(() => plan(mount), { code: "INVALID_ARGUMENT", message: new RegExp(why) });
});

Deno.test("planMounts() names a source that is missing", () => {
  const mount = { destination: "/x", source: "nowhere", options: ["rbind"] };
  assert.throws(() => plan(mount), { code: "NOT_FOUND", message: 'Cannot mount "/tmp/nowhere" on "/x"' });
});

Deno.test("planMounts() lets a file in /proc be replaced by a file", () => {
  const [planned] = plan({ destination: "/proc/cpuinfo", source: "/etc/hostname", type: "bind" });
  assert.deepEqual([planned?.kind, planned?.destination], ["bind", "/proc/cpuinfo"]);
});

Deno.test("planMounts() makes a cgroup mount of v1 one tmpfs, a mount a hierarchy, and links", () => {
  const mount = { destination: "/sys/fs/cgroup", type: "cgroup", options: ["ro", "nosuid"] };
  const summary = plan(mount).map((one) => [one.kind, one.destination, "source" in one ? one.source : ""]);
  assert.deepEqual(summary, [
    ["filesystem", "/sys/fs/cgroup", "tmpfs"],
    ["bind", "/sys/fs/cgroup/cpu,cpuacct", "/cg/cpu,cpuacct/c1"],
    ["link", "/sys/fs/cgroup/cpu", ""],
    ["link", "/sys/fs/cgroup/cpuacct", ""],
    ["bind", "/sys/fs/cgroup/systemd", "/cg/systemd/c1"],
    ["seal", "/sys/fs/cgroup", ""],
  ]);
  const data = plan(mount, { hasNamespace: true }).flatMap((one) =>
    one.kind === "filesystem" && one.type === "cgroup" ? one.options.data : []
  );
  assert.deepEqual(data, ["cpu,cpuacct", "none,name=systemd"]);
});

Deno.test.each([
  { type: "tmpfs", data: 'size=1m,context="s0:c1,c2"' },
  { type: "sysfs", data: "size=1m" },
])("planMounts() gives a $type the label $data", ({ type, data }) => {
  const mount = { destination: "/x", type, options: ["nosuid", "size=1m"] };
  const [planned] = plan(mount, {}, { mountLabel: "s0:c1,c2" });
  assert.ok(planned?.kind === "filesystem");
  assert.equal(planned.options.data, data);
});

Deno.test("planMounts() makes a cgroup mount of v2 one mount", () => {
  const layout: CgroupLayout = { ...v1, mode: "v2", unified: "/cg", v1: new Map() };
  const mount = { destination: "/sys/fs/cgroup", type: "cgroup" };
  assert.deepEqual(plan(mount, { layout, hasNamespace: true }).map(({ kind }) => kind), ["filesystem"]);
  const [bind] = plan(mount, { layout });
  assert.ok(bind?.kind === "bind" && bind.source === "/cg/c1" && (bind.options.flags & MS.BIND) !== 0);
});

Deno.test("deferReadOnlyDev() leaves /dev writable until it is filled", () => {
  const { planned, sealDev } = deferReadOnlyDev(
    plan({ destination: "/dev", type: "tmpfs", options: ["ro", "nosuid"] }),
  );
  assert.ok(sealDev);
  assert.ok(planned[0]?.kind === "filesystem" && planned[0].options.flags === MS.NOSUID);
  assert.ok(!hasOwnDev(planned));
  assert.ok(hasOwnDev(plan({ destination: "/dev", source: "/dev", options: ["bind"] })));
});

Deno.test.each([
  { words: ["bind", "ro", "nosuid"], set: MOUNT_ATTR.RDONLY | MOUNT_ATTR.NOSUID, clear: 0, hasTimeMode: false },
  { words: ["rw", "dev"], set: 0, clear: MOUNT_ATTR.RDONLY | MOUNT_ATTR.NODEV, hasTimeMode: false },
  { words: ["noatime"], set: MOUNT_ATTR.NOATIME, clear: 0, hasTimeMode: true },
  { words: ["noatime", "strictatime"], set: MOUNT_ATTR.STRICTATIME, clear: 0, hasTimeMode: true },
])("attributesOf($words) are those of mount_setattr(2)", ({ words, ...expected }) => {
  assert.deepEqual(attributesOf(parseMountOptions(words)), expected);
});
