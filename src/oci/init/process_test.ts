/** Decisions about a process before it exists: users, capabilities, limits, scheduling, parameters, devices, state. */
import type { SyscallProgram } from "../../linux/child_program/program.ts";
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  capabilityNumbers,
  capabilitySets,
  knownCapabilities,
  parseCapabilities,
  readCapabilitySet,
  unknownCapabilities,
} from "../security/capabilities.ts";
import { errorCode } from "../../base/error.ts";
import { closeOtherFds, freeNumber } from "./child_setup.ts";
import { DEFAULT_DEVICE_RULES, deviceRules, planDevices } from "../mount/devices.ts";
import { explainExec } from "./process_plan.ts";
import { rlimitCall } from "./rlimits.ts";
import type { Rlimit } from "../spec/spec.ts";
import { cpuMask, ioPriorityValue, personalityValue, schedulerAttributes } from "./scheduling.ts";
import { sysctlPath, sysctlProblem } from "./sysctl.ts";
import { completeEnvironment, homeOf, parsePasswd, readPasswd } from "./user.ts";

const ALL = 2n ** 41n - 1n;

Deno.test("parseCapabilities() knows every name, in either case, with and without CAP_", () => {
  assert.equal(parseCapabilities(knownCapabilities()), ALL);
  assert.equal(parseCapabilities(["kill", "CAP_SYS_ADMIN"]), (1n << 5n) | (1n << 21n));
});

Deno.test("parseCapabilities() passes over a name that no kernel has; unknownCapabilities() tells it", () => {
  assert.equal(parseCapabilities(["CAP_KILL", "CAP_EVERYTHING"]), 1n << 5n);
  assert.deepEqual(unknownCapabilities({ bounding: ["kill", "CAP_EVERYTHING"], ambient: ["CAP_EVERYTHING"] }), [
    "CAP_EVERYTHING",
  ]);
});

Deno.test("capabilitySets() gives no more than there is, and no ambient one that the kernel would refuse", () => {
  const asked = {
    bounding: ["CHOWN", "KILL"],
    permitted: ["CHOWN", "KILL"],
    inheritable: ["KILL"],
    ambient: ["CHOWN", "KILL"],
  };
  const sets = capabilitySets(asked, parseCapabilities(["KILL"]));
  assert.deepEqual([sets.bounding, sets.permitted, sets.ambient, sets.effective], [32n, 32n, 32n, 0n]);
  assert.equal(capabilitySets(asked, ALL).ambient, 32n);
});

Deno.test("capabilityNumbers() lists a set", () => {
  assert.deepEqual(capabilityNumbers((1n << 40n) | 1n), [0, 40]);
  assert.equal(readCapabilitySet("X:\t1\nCapPrm:\t000001ff\n", "CapPrm"), 0x1ffn);
});

Deno.test("rlimitCall() takes the largest value there is, and refuses soft above hard", () => {
  const infinity = 2n ** 64n - 1n;
  const { resource, limits } = rlimitCall({ type: "RLIMIT_NOFILE", soft: 5, hard: infinity });
  assert.deepEqual([resource, ...new BigUint64Array(limits.buffer)], [7, 5n, infinity]);
  assert.throws(() => rlimitCall({ type: "RLIMIT_NOFILE", soft: 2, hard: 1 }), RangeError);
  assert.throws(() => rlimitCall({ type: "NOFILE", soft: 1, hard: 1 }), TypeError);
  assert.throws(
    () => rlimitCall({ type: "RLIMIT_NOFILE", hard: 1 } as Rlimit),
    /"RLIMIT_NOFILE": its soft value is missing/,
  );
});

Deno.test("Scheduling is encoded as the kernel takes it, and unknown words are refused", () => {
  const bytes = schedulerAttributes({ policy: "SCHED_RR", priority: 9, flags: ["SCHED_FLAG_RESET_ON_FORK"] });
  const words = new Uint32Array(bytes.buffer);
  assert.deepEqual([...words], [48, 2, 1, 0, 0, 9, 0, 0, 0, 0, 0, 0]);
  assert.equal(ioPriorityValue({ class: "IOPRIO_CLASS_BE", priority: 4 }), (2 << 13) | 4);
  assert.equal(personalityValue({ domain: "LINUX32" }), 8);
  assert.throws(() => personalityValue({ domain: "BSD" }), { code: "INVALID_ARGUMENT" });
});

Deno.test.each([
  { name: "net.ipv4.ip_forward", path: "/proc/sys/net/ipv4/ip_forward" },
  { name: "net/ipv4/conf/eth0.100/forwarding", path: "/proc/sys/net/ipv4/conf/eth0.100/forwarding" },
])("sysctlPath($name) is $path", ({ name, path }) => assert.equal(sysctlPath(name), path));

Deno.test.each(["", "../kernel", "net//x", "a/./b"])('sysctlPath("%s") is refused', (name) => {
  assert.throws(() => sysctlPath(name), RangeError);
});

Deno.test("sysctlProblem() asks for a namespace of the container's own", () => {
  const own = new Set(["network", "ipc", "uts"] as const);
  assert.equal(sysctlProblem("net.core.somaxconn", own), undefined);
  assert.equal(sysctlProblem("fs.mqueue.msg_max", own), undefined);
  assert.match(sysctlProblem("kernel.hostname", own)!, /set by "hostname"/);
  assert.match(sysctlProblem("vm.swappiness", own)!, /not in a namespace/);
  assert.match(sysctlProblem("net.core.somaxconn", new Set())!, /network namespace of its own/);
});

Deno.test("planDevices() has the default devices, once, and those of the configuration", () => {
  const nodes = planDevices([{ path: "/dev/null", type: "c", major: 1, minor: 3, fileMode: 0o600 }, {
    path: "/dev/p",
    type: "p",
  }]);
  assert.equal(nodes.length, 7);
  assert.equal(nodes.find(({ path }) => path === "/dev/null")?.mode, 0o020600);
  assert.deepEqual(nodes.at(-1), { path: "/dev/p", mode: 0o010666, device: 0n, uid: 0, gid: 0 });
});

Deno.test("deviceRules() puts the default devices after the rule for all, before those that follow", () => {
  const all = { allow: false, access: "rwm" };
  const one = { allow: true, type: "c" as const, major: 10, minor: 229 };
  assert.deepEqual(deviceRules([all, one]), [all, ...DEFAULT_DEVICE_RULES, one]);
  assert.deepEqual(deviceRules([one]), [{ ...all, type: "a" }, ...DEFAULT_DEVICE_RULES, one]);
  const some = { allow: false, type: "a", access: "m" } as const;
  assert.deepEqual(deviceRules([some]), [{ ...all, type: "a" }, ...DEFAULT_DEVICE_RULES, some]);
});

Deno.test("User databases are read line by line, and nonsense in them is passed over", () => {
  const passwd = parsePasswd("root:x:0:0:r:/root:/bin/sh\n\n#x\nbad:x:a:0::/:\nu:x:7:8::/home/u:/bin/sh");
  assert.deepEqual(passwd.map(({ name, uid, gid }) => [name, uid, gid]), [["root", 0, 0], ["u", 7, 8]]);
  assert.equal(homeOf(passwd, 7), "/home/u");
  assert.equal(homeOf(passwd, 99), "/");
});

Deno.test("readPasswd() stays inside the root, and takes anything but a small file for nothing", () => {
  const root = Deno.makeTempDirSync();
  Deno.mkdirSync(`${root}/etc`);
  const path = `${root}/etc/passwd`;
  assert.deepEqual(readPasswd(root), []);
  Deno.symlinkSync("/etc/passwd", path);
  assert.deepEqual(readPasswd(root), []);
  Deno.removeSync(path);
  Deno.writeTextFileSync(path, "x".repeat(5 << 20));
  assert.deepEqual(readPasswd(root), []);
  Deno.writeTextFileSync(path, "u:x:5:5::/u:/bin/sh\n");
  assert.equal(readPasswd(root)[0]?.home, "/u");
  Deno.removeSync(root, { recursive: true });
});

Deno.test("completeEnvironment() fills in HOME, and asks for it only if it must", () => {
  assert.deepEqual(completeEnvironment(["A=1"], () => "/h"), ["A=1", "HOME=/h"]);
  assert.deepEqual(completeEnvironment(["HOME="], () => "/h"), ["HOME=/h"]);
  assert.deepEqual(completeEnvironment(["HOME=/x"], () => assert.fail("not needed")), ["HOME=/x"]);
});

Deno.test("completeEnvironment() lets the later of two entries of a name hold, in the place of the earlier", () => {
  const env = ["PATH=/bin", "A=1", "PATH=/usr/bin:/bin", "HOME=/a", "HOME="];
  assert.deepEqual(completeEnvironment(env, () => "/h"), ["PATH=/usr/bin:/bin", "A=1", "HOME=/h"]);
});

Deno.test.each([
  { name: "foo", code: "ENOENT", kind: "NOT_FOUND", message: 'exec: "foo": executable file not found in $PATH' },
  { name: "/foo", code: "ENOENT", kind: "NOT_FOUND", message: 'exec: "/foo": stat /foo: no such file or directory' },
  { name: "/foo", code: "EACCES", kind: "PERMISSION_DENIED", message: 'exec: "/foo": permission denied' },
  { name: "/foo", code: "ENOEXEC", kind: "NOT_FOUND", message: 'exec: "/foo": ENOEXEC' },
])("explainExec($name, $code) speaks as container engines expect", ({ name, code, kind, message }) => {
  const error = explainExec(name, code);
  assert.deepEqual([error.message, errorCode(error)], [message, kind]);
});

Deno.test("closeOtherFds() closes all but the descriptors that are kept", () => {
  fc.assert(fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 40 })), (kept) => {
    const closed = new Set<number>();
    const steps = {
      call(_name: string, [first, last]: [number, number]) {
        for (let fd = first; fd <= Math.min(last, 1000); fd++) closed.add(fd);
      },
    };
    closeOtherFds(steps as unknown as SyscallProgram, kept);
    for (let fd = 0; fd <= 1000; fd++) assert.equal(closed.has(fd), fd > 2 && !kept.includes(fd), String(fd));
  }));
  assert.equal(freeNumber([100, 101, 5]), 102);
});

Deno.test.each([
  { list: "0", bytes: [1, 0] },
  { list: "1-3,8", bytes: [0b1110, 1] },
])("cpuMask($list) has a bit for each processor", ({ list, bytes }) => {
  assert.deepEqual([...cpuMask(list).slice(0, 2)], bytes);
});

Deno.test.each([{ list: "3-1" }, { list: "a" }, { list: "" }, { list: "9999" }])(
  "cpuMask($list) throws",
  ({ list }) => {
    assert.throws(() => cpuMask(list), { code: "INVALID_ARGUMENT" });
  },
);
