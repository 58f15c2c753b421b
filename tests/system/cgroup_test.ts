/** Cgroups on the real kernel, of whatever versions it has mounted. Needs root. */
import assert from "node:assert/strict";
import { type DeviceRule, setDeviceRules } from "../../src/linux/bpf/device_program.ts";
import {
  cgroupMembers,
  createCgroup,
  detectCgroups,
  joinCgroup,
  joinCgroupThread,
  moveMembers,
  parseCgroupMembership,
  removeCgroup,
} from "../../src/linux/cgroup/cgroup.ts";
import { killCgroup } from "../../src/linux/cgroup/kill.ts";
import { readCgroupFile, writeCgroupFile } from "../../src/linux/cgroup/file.ts";
import { pipe } from "../../src/linux/io/fd.ts";
import { spawn } from "../../src/linux/process/spawn.ts";
import { leftOutUnlessRoot } from "../../src/base/testing/left_out.ts";

const ignore = leftOutUnlessRoot(import.meta);
const NAME = `kata-cgroup_test-${Deno.pid}`;

/** Every hierarchy of this machine, by a name to show. */
function hierarchies(): [name: string, path: string][] {
  if (ignore) return [];
  const { v1, unified } = detectCgroups();
  const named = ["pids", "cpuset", "freezer"].flatMap((name) => v1.has(name) ? [[name, v1.get(name)!] as const] : []);
  return [
    ...named.map(([name, path]) => [`v1 ${name}`, path] as [string, string]),
    ...unified ? [["v2", unified] as [string, string]] : [],
  ];
}

/** File by which a child joins. */
function joinFile(path: string): string {
  return `${path}/${readCgroupFile(path, "tasks") === undefined ? "cgroup.procs" : "tasks"}`;
}

for (const [name, root] of hierarchies()) {
  Deno.test(`a cgroup of ${name} is made, joined, emptied and removed`, async () => {
    const path = `${root}/${NAME}/a/b`;
    createCgroup(path);
    try {
      await using first = spawn({ path: "sleep", args: ["sleep", "100"], cgroupProcs: [joinFile(path)] });
      await using second = spawn({ path: "sleep", args: ["sleep", "100"] });
      joinCgroup(`${root}/${NAME}/a`, second.pid);
      assert.deepEqual(cgroupMembers(path), [first.pid]);
      assert.deepEqual(
        cgroupMembers(`${root}/${NAME}`, { recursive: true }).toSorted(),
        [first.pid, second.pid].toSorted(),
      );
      const memberships = parseCgroupMembership(Deno.readTextFileSync(`/proc/${first.pid}/cgroup`));
      assert.ok(memberships.some((membership) => membership.path === `/${NAME}/a/b`));
      moveMembers(path, `${root}/${NAME}/a`);
      assert.deepEqual(cgroupMembers(path), []);
      await killCgroup(`${root}/${NAME}`);
      assert.deepEqual(await first.wait(), { signal: 9 });
    } finally {
      await killCgroup(`${root}/${NAME}`);
      await removeCgroup(`${root}/${NAME}`);
    }
    assert.equal(readCgroupFile(path, "cgroup.procs"), undefined);
  });
}

/** Goes on as a process in a group that a container could have made, and says so. */
const HIDE = {
  "with a name that is no text": `d="$(printf 'a\\377')" && mkdir "$d" && cd -P "$d"`,
  "deeper than a path is long":
    `d=$(printf '%0200d' 0) && for level in $(seq 30); do mkdir "$d" && cd -P "$d" || exit; done`,
};

// A cpuset takes no process before it has CPUs.
for (const [name, root] of hierarchies().filter(([name]) => name !== "v1 cpuset")) {
  for (const [what, hide] of Object.entries(HIDE)) {
    Deno.test(`F1: a process of ${name} in a group ${what} is found, killed and its group removed`, async () => {
      const path = `${root}/${NAME}-hidden`;
      createCgroup(path);
      using report = pipe();
      const script = `cd ${path} && ${hide} && echo $$ >cgroup.procs && echo hidden && exec sleep 100 >&-`;
      await using child = spawn({ path: "sh", args: ["sh", "-c", script], fds: [{ child: 1, fd: report.write }] });
      report.write[Symbol.dispose]();
      assert.equal(report.read.read(new Uint8Array(16)), "hidden\n".length);
      assert.deepEqual(cgroupMembers(path), []);
      assert.deepEqual(cgroupMembers(path, { recursive: true }), [child.pid]);
      await killCgroup(path);
      assert.deepEqual(await child.wait(), { signal: 9 });
      await removeCgroup(path);
      assert.equal(readCgroupFile(path, "cgroup.procs"), undefined);
    });
  }
}

Deno.test(
  { name: "cgroupMembers() passes over a threaded cgroup, whose processes the one above lists", ignore },
  async () => {
    const { unified } = detectCgroups();
    if (unified === undefined) return;
    const path = `${unified}/${NAME}-threaded`;
    createCgroup(`${path}/threads`);
    await using child = spawn({ path: "sleep", args: ["sleep", "100"], cgroupProcs: [joinFile(path)] });
    writeCgroupFile(`${path}/threads`, "cgroup.type", "threaded");
    joinCgroupThread(`${path}/threads`, child.pid);
    assert.deepEqual(cgroupMembers(path, { recursive: true }), [child.pid]);
    assert.deepEqual(cgroupMembers(`${path}/threads`, { threads: true }), [child.pid]);
    await killCgroup(path);
    await removeCgroup(path);
  },
);

Deno.test({ name: "removeCgroup() of one in use gives up with EBUSY", ignore }, async () => {
  const [[, root] = []] = hierarchies();
  const path = `${root}/${NAME}-busy`;
  createCgroup(path);
  await using _child = spawn({ path: "sleep", args: ["sleep", "100"], cgroupProcs: [joinFile(path)] });
  const clock = { now: Date.now, sleep: () => Promise.resolve() };
  await assert.rejects(removeCgroup(path, { clock }), (error: Error) => {
    assert.equal(error.message, `Cannot remove cgroup "${path}"`);
    return (error.cause as { code?: string }).code === "EBUSY";
  });
  await killCgroup(path);
  await removeCgroup(path);
});

const READ_NULL: DeviceRule[] = [
  { allow: false, type: "all", access: "rwm" },
  { allow: true, type: "char", major: 1, minor: 3, access: "r" },
];
const NOT_ZERO: DeviceRule[] = [
  { allow: true, type: "all", access: "rwm" },
  { allow: false, type: "char", major: 1, minor: 5, access: "r" },
];

Deno.test({ name: "setDeviceRules() holds in a v2 cgroup, and later rules replace the earlier", ignore }, async () => {
  const { unified } = detectCgroups();
  if (unified === undefined) return;
  const path = `${unified}/${NAME}-devices`;
  createCgroup(path);
  try {
    setDeviceRules(path, READ_NULL);
    assert.deepEqual(await reads(path), { "/dev/null": true, "/dev/zero": false });
    setDeviceRules(path, NOT_ZERO);
    assert.deepEqual(await reads(path), { "/dev/null": true, "/dev/zero": false });
    setDeviceRules(path, [...NOT_ZERO, { allow: true, type: "char", major: 1, access: "r" }]);
    assert.deepEqual(await reads(path), { "/dev/null": true, "/dev/zero": true });
  } finally {
    await removeCgroup(path);
  }
});

/** Which devices a program in the cgroup can read. */
async function reads(cgroup: string): Promise<Record<string, boolean>> {
  const result: Record<string, boolean> = {};
  for (const device of ["/dev/null", "/dev/zero"]) {
    // The shell joins: the descriptors that every program gets were opened before.
    const script = `echo 0 >${cgroup}/cgroup.procs && exec head -c 1 ${device}`;
    await using child = spawn({ path: "sh", args: ["sh", "-c", script] });
    const status = await child.wait();
    result[device] = "code" in status && status.code === 0;
  }
  return result;
}
