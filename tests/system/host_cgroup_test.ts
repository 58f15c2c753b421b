/** The host's cgroups of a sandbox, on the real kernel: v1, and the v2 hierarchy beside it or alone. Needs root. */
import assert from "node:assert/strict";
import { type CgroupLayout, cgroupMembers, detectCgroups } from "../../src/linux/cgroup/cgroup.ts";
import { spawn } from "../../src/linux/process/spawn.ts";
import { HostCgroups, removeHostCgroups } from "../../src/resources/cgroup.ts";
import { leftOutUnlessRoot } from "../../src/base/testing/left_out.ts";

const ignore = leftOutUnlessRoot(import.meta);

/** Engines leave the directories above a container's; here they go. */
function removeParents(): void {
  for (const root of new Set(layouts().flatMap(({ layout }) => [layout.unified ?? [], ...layout.v1.values()].flat()))) {
    Deno.removeSync(`${root}/kata-test`);
  }
}

if (!ignore) Deno.test.afterAll(removeParents);

/** The machine's hierarchies, one layout per version. */
function layouts(): { version: string; layout: CgroupLayout }[] {
  const layout = detectCgroups();
  if (layout.unified === undefined || layout.mode === "v2") return [{ version: layout.mode, layout }];
  return [{ version: "v1", layout }, { version: "v2", layout: detectCgroups(layout.unified) }];
}

for (const { version, layout } of ignore ? [] : layouts()) {
  const make = ({ sandboxOnly }: { sandboxOnly: boolean }) => {
    const sandboxId = `test-${crypto.randomUUID().slice(0, 8)}`;
    return new HostCgroups({ layout, cgroupsPath: `/kata-test/${sandboxId}`, sandboxId, sandboxOnly });
  };
  const sleep = (groups: HostCgroups) =>
    spawn({ path: "/bin/sleep", args: ["sleep", "1000"], cgroupProcs: groups.procsFiles });

  Deno.test(`B45: on ${version}, sandbox_cgroup_only keeps the whole VM in the pod's group`, async () => {
    await using groups = make({ sandboxOnly: true });
    await using vmm = sleep(groups);
    await vmm.executed();
    groups.moveVm({ pid: vmm.pid, vcpuThreads: [vmm.pid] });
    assert.ok(groups.directories.length > 0);
    for (const directory of groups.directories) {
      assert.match(directory, /\/kata-test\//);
      assert.deepEqual(cgroupMembers(directory), [vmm.pid]);
    }
  });

  Deno.test(`B45: on ${version}, the pod's group else has the vCPUs and the overhead group the rest`, async () => {
    await using groups = make({ sandboxOnly: false });
    await using vmm = sleep(groups);
    await using helper = sleep(groups);
    await Promise.all([vmm.executed(), helper.executed()]);
    const overhead = groups.directories.filter((directory) => directory.includes("/kata_overhead/"));
    for (const directory of overhead) {
      assert.deepEqual(cgroupMembers(directory).sort(), [vmm.pid, helper.pid].sort());
    }
    groups.moveVm({ pid: vmm.pid, vcpuThreads: [vmm.pid] });
    for (const directory of overhead) assert.deepEqual(cgroupMembers(directory), [helper.pid]);
    const pod = groups.directories.filter((directory) => !overhead.includes(directory));
    for (const directory of pod) assert.deepEqual(cgroupMembers(directory), [vmm.pid]);
  });

  Deno.test(`B4: on ${version}, what is left in the groups moves to the root when they are removed`, async () => {
    const groups = make({ sandboxOnly: true });
    await using vmm = sleep(groups);
    await vmm.executed();
    const { directories } = groups;
    await groups[Symbol.asyncDispose]();
    for (const directory of directories) assert.throws(() => Deno.statSync(directory), Deno.errors.NotFound);
    assert.ok(cgroupMembers(layout.unified === layout.root ? layout.root : layout.v1.get("memory")!).includes(vmm.pid));
  });

  Deno.test(`the groups of a shim that is gone are removed on ${version}, the overhead's parent with the last`, async () => {
    const [first, second] = [make({ sandboxOnly: false }), make({ sandboxOnly: false })];
    const parents = first.directories.filter((directory) => directory.includes("/kata_overhead/"))
      .map((directory) => directory.slice(0, directory.lastIndexOf("/")));
    const exist = () => parents.map((parent) => Deno.statSync(parent).isDirectory);
    await removeHostCgroups(first.directories);
    for (const directory of first.directories) assert.throws(() => Deno.statSync(directory), Deno.errors.NotFound);
    assert.ok(exist().every(Boolean), "another sandbox is there");
    for (let time = 0; time < 2; time++) await removeHostCgroups(second.directories);
    assert.throws(exist, Deno.errors.NotFound);
  });

  Deno.test(`the groups of a shim that is gone are removed on ${version} once those in them have ended, late as it may be`, async () => {
    const groups = make({ sandboxOnly: true });
    await using late = spawn({ path: "/bin/sleep", args: ["sleep", "1"], cgroupProcs: groups.procsFiles });
    await late.executed();
    await removeHostCgroups(groups.directories);
    for (const directory of groups.directories) assert.throws(() => Deno.statSync(directory), Deno.errors.NotFound);
  });

  Deno.test(`HostCgroups.moveVm() on ${version} does not mind threads that have ended`, async () => {
    await using groups = make({ sandboxOnly: false });
    groups.moveVm({ pid: 4_000_000, vcpuThreads: [4_000_000] });
    assert.ok(groups.stats() !== undefined);
  });
}
