/** Faults that a runtime must refuse: each is put into an otherwise good configuration. @module */
import type { Spec } from "../runtime.ts";
import type { Plan } from "./plan.ts";

/** Fault, and how it gets into a plan. */
export interface Refusal {
  /** Variants of the fault. */
  values: readonly unknown[];
  apply: (plan: Plan, value: unknown) => void;
  /** Why only ours refuses it. */
  onlyOurs?: string;
}

function refusals<T>(values: readonly T[], apply: (plan: Plan, value: T) => void): Refusal {
  return { values, apply: (plan, value) => apply(plan, value as T) };
}

/** One without variants. */
function refusal(apply: (plan: Plan, spec: Spec) => void): Refusal {
  return refusals([null], (plan) => apply(plan, plan.spec));
}

function bindTo(spec: Spec, destination: string, source: string): void {
  spec.mounts.push({ destination, type: "bind", source, options: ["bind"] });
}

const FAILING_HOOK = { path: "/bin/sh", args: ["sh", "-c", "exit 3"] };

/** By the key that then has a wrong type. */
const WRONG_TYPES: Record<string, (spec: Spec) => unknown> = {
  "hostname": (spec) => spec.hostname = 5,
  "process.args": (spec) => spec.process.args = "/bin/sh",
  "process.args[1]": (spec) => spec.process.args[1] = 5,
  "process.env": (spec) => spec.process.env = { A: "b" },
  "process.terminal": (spec) => spec.process.terminal = "no",
  "process.noNewPrivileges": (spec) => spec.process.noNewPrivileges = 1,
  "process.user.gid": (spec) => spec.process.user.gid = "0",
  "process.user.additionalGids": (spec) => spec.process.user.additionalGids = [1.5],
  "process.cwd": (spec) => spec.process.cwd = 1,
  "process.capabilities": (spec) => spec.process.capabilities = ["CAP_KILL"],
  "process.rlimits": (spec) => spec.process.rlimits = { type: "RLIMIT_CORE" },
  "mounts": (spec) => spec.mounts = {},
  "mounts[0].options": (spec) => spec.mounts[0].options = "ro",
  "root.readonly": (spec) => spec.root.readonly = "true",
  "linux.namespaces": (spec) => spec.linux.namespaces = ["pid"],
  "linux.resources.memory": (spec) => spec.linux.resources.memory = { limit: "64M" },
  "linux.resources.cpu": (spec) => spec.linux.resources.cpu = { shares: 1.5 },
  "linux.maskedPaths": (spec) => spec.linux.maskedPaths = "/proc",
  "linux.sysctl": (spec) => spec.linux.sysctl = { "net.ipv4.ip_forward": 1 },
  "annotations": (spec) => spec.annotations = { a: 1 },
  "hooks": (spec) => spec.hooks = { prestart: { path: "/bin/true" } },
};

export const REFUSALS: Record<string, Refusal> = {
  "id": refusals(["", ".", "..", "a/b", "../up", "a b", "ä", "-x"], (plan, id) => plan.id = id),
  "no JSON": refusals(["", "{", "[]", '"text"'], (plan, text) => plan.text = text),
  "no root": refusal((_, spec) => delete spec.root),
  "root that is not there": refusal((_, spec) => spec.root.path = "no-such"),
  "root that is a file": refusal((plan, spec) => spec.root.path = plan.file("file")),
  "no process": refusal((_, spec) => delete spec.process),
  "no program": refusal((_, spec) => spec.process.args = []),
  "program": refusals(
    ["/no/such", "nosuch", "/etc/passwd", "/etc", "", "./nosuch"],
    ({ spec }, program) => spec.process.args[0] = program,
  ),
  "cwd": refusals(["", "relative", "/etc/passwd"], ({ spec }, cwd) => spec.process.cwd = cwd),
  "env": refusals(["A", "=b", ""], ({ spec }, entry) => spec.process.env.push(entry)),
  "rlimit": refusals(
    [{ type: "RLIMIT_NO", soft: 1, hard: 1 }, { type: "RLIMIT_CORE", soft: 2, hard: 1 }, {
      type: "CORE",
      soft: 1,
      hard: 1,
    }],
    ({ spec }, rlimit) => spec.process.rlimits = [rlimit],
  ),
  "oomScoreAdj": refusals([-1001, 1001], ({ spec }, score) => spec.process.oomScoreAdj = score),
  "user": refusals([-1, 2 ** 32, "root"], ({ spec }, uid) => spec.process.user.uid = uid),
  "AppArmor": refusal((_, spec) => spec.process.apparmorProfile = "nosuch"),
  "SELinux": refusal((_, spec) => spec.process.selinuxLabel = "a:b:c:d"),
  "mount label": refusal((_, spec) => spec.linux.mountLabel = "a:b:c:d"),
  "terminal without console": refusal((_, spec) => spec.process.terminal = true),
  "namespace twice": refusal((_, spec) => spec.linux.namespaces.push({ type: "pid" })),
  "unknown namespace": refusal((_, spec) => spec.linux.namespaces.push({ type: "moon" })),
  "namespace path": refusals(
    ["/no/such", "/etc/passwd", "/proc/self/ns/uts"],
    ({ spec }, path) => spec.linux.namespaces = [...others(spec, "network"), { type: "network", path }],
  ),
  "hostname without namespace": refusal((_, spec) => spec.linux.namespaces = others(spec, "uts")),
  "namespace without mappings": refusal((_, spec) => spec.linux.namespaces.push({ type: "user" })),
  "sysctl": refusals(
    [
      "kernel.panic",
      "vm.swappiness",
      "net.no.such",
      "kernel.no_such",
      "fs.mqueue.nosuch",
      "kernel.hostname",
      "nosuch",
    ],
    ({ spec }, name) => spec.linux.sysctl = { [name]: "1" },
  ),
  "sysctl value": refusal((_, spec) => spec.linux.sysctl = { "net.ipv4.ip_forward": "word" }),
  "sysctl of the host": refusal((_, spec) => {
    spec.linux.namespaces = others(spec, "network");
    spec.linux.sysctl = { "net.ipv4.ip_forward": "1" };
  }),
  "mount type": refusal((_, spec) => spec.mounts.push({ destination: "/x", type: "nosuchfs", source: "none" })),
  "mount option": refusal((_, spec) =>
    spec.mounts.push({ destination: "/x", type: "tmpfs", source: "tmpfs", options: ["nosuch=1"] })
  ),
  "mount without destination": refusal((_, spec) => spec.mounts.push({ type: "tmpfs", source: "tmpfs" })),
  "bind of nothing": refusal((_, spec) => bindTo(spec, "/x", "/no/such")),
  "mount over a file of proc": refusals(
    ["/proc/sys/kernel", "/proc/self/attr", "/proc/1", "/proc/new"],
    ({ spec }, destination) => bindTo(spec, destination, "/tmp"),
  ),
  "directory over a file": refusal((_, spec) => bindTo(spec, "/etc/passwd", "/tmp")),
  "file over a directory": refusal((plan, spec) => bindTo(spec, "/etc", plan.file("file"))),
  "proc over a link": refusal(({ box }) => {
    Deno.removeSync(`${box.rootfs}/proc`);
    Deno.symlinkSync("/tmp", `${box.rootfs}/proc`);
  }),
  "propagation": refusals(["nosuch", "rprivate,ro"], ({ spec }, word) => spec.linux.rootfsPropagation = word),
  "device": refusals(
    [{ path: "/dev/x", type: "z", major: 1, minor: 1 }, {
      path: "/dev/null/x",
      type: "c",
      major: 1,
      minor: 1,
    }, { path: "/dev/x" }],
    ({ spec }, device) => spec.linux.devices = [device],
  ),
  "device rule": refusals(
    [{ allow: true, type: "z" }, { allow: "yes" }],
    ({ spec }, rule) => spec.linux.resources = { devices: [rule] },
  ),
  "limit": refusals<Spec>(
    [
      { memory: { limit: 1 } },
      { memory: { limit: 1 << 26, swap: 1 << 25 } },
      { memory: { swappiness: 101 } },
      { cpu: { shares: 1_000_000 } },
      { cpu: { quota: 1 } },
      { cpu: { period: 1 } },
      { cpu: { cpus: "99" } },
      { cpu: { cpus: "a" } },
      { cpu: { mems: "9" } },
      { pids: { limit: "1" } },
      { blockIO: { throttleReadBpsDevice: [{ major: 9999, minor: 0, rate: 1 }] } },
      { hugepageLimits: [{ pageSize: "3MB", limit: 1 << 21 }] },
      { rdma: { mlx5_0: { hcaHandles: 2 } } },
      { unified: { "memory.high": "1000000" } },
      { network: { classID: 1 } },
    ],
    ({ spec }, limit) => spec.linux.resources = limit,
  ),
  "cgroupsPath": refusals(["a\0b"], ({ spec }, path) => spec.linux.cgroupsPath = path),
  "Intel RDT": refusal((_, spec) => spec.linux.intelRdt = { closID: "a", l3CacheSchema: "L3:0=f" }),
  "hook path": refusals(["relative", "", "/no/such"], ({ spec }, path) => spec.hooks = { createRuntime: [{ path }] }),
  "hook that fails": refusals(
    ["prestart", "createRuntime", "createContainer"],
    ({ spec }, kind) => spec.hooks = { [kind]: [FAILING_HOOK] },
  ),
  "hook that takes too long": refusal((_, spec) => {
    spec.hooks = { createRuntime: [{ path: "/bin/sh", args: ["sh", "-c", "exec sleep 100"], timeout: 1 }] };
  }),
  "hook timeout": refusal((_, spec) => {
    // A hook that ends at once may win against runc's clock.
    spec.hooks = { createRuntime: [{ path: "/bin/sleep", args: ["sleep", "10"], timeout: 0 }] };
  }),
  "seccomp": refusals<Spec>(
    [
      { defaultAction: "SCMP_ACT_NO" },
      { defaultAction: "SCMP_ACT_NOTIFY" },
      { defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_NO"] },
      { defaultAction: "SCMP_ACT_ALLOW", flags: ["SECCOMP_FILTER_FLAG_NO"] },
      { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_NOTIFY" }] },
      { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["write"], action: "SCMP_ACT_NO" }] },
      {
        defaultAction: "SCMP_ACT_ALLOW",
        syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_ERRNO", args: [{ index: 6, value: 1, op: "SCMP_CMP_EQ" }] }],
      },
      {
        defaultAction: "SCMP_ACT_ALLOW",
        syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_ERRNO", args: [{ index: 0, value: 1, op: "SCMP_CMP_NO" }] }],
      },
    ],
    ({ spec }, seccomp) => spec.linux.seccomp = seccomp,
  ),
  "wrong type": refusals([...Object.keys(WRONG_TYPES)], ({ spec }, key) => WRONG_TYPES[key]!(spec)),
  "startContainer hook that fails": {
    onlyOurs: "the specification wants an error of `start`, where runc succeeds and the container has ended",
    ...refusal((_, spec) => spec.hooks = { startContainer: [FAILING_HOOK] }),
  },
  "cgroupsPath that leads up": {
    onlyOurs: "the container's group would be that of others",
    ...refusals(["../up", "/a/../../up"], ({ spec }, path) => spec.linux.cgroupsPath = path),
  },
  version: {
    onlyOurs: "a runtime must not guess what another version of the specification means",
    ...refusals(["2.0.0", "abc", "0.9.0", "1"], ({ spec }, version) => spec.ociVersion = version),
  },
  "rlimit twice": {
    onlyOurs: "the specification wants an error",
    ...refusal((_, spec) => {
      const rlimit = { type: "RLIMIT_CORE", soft: 1, hard: 1 };
      spec.process.rlimits = [rlimit, rlimit];
    }),
  },
  "mappings without namespace": {
    onlyOurs: "somebody has forgotten the namespace, and the container would have the host's ids",
    ...refusal((_, spec) => spec.linux.uidMappings = [{ containerID: 0, hostID: 0, size: 1 }]),
  },
  "device without path": {
    onlyOurs: "the path is required",
    ...refusal((_, spec) => spec.linux.devices = [{ path: "", type: "c", major: 1, minor: 1 }]),
  },
  "errno of an action without one": {
    onlyOurs: "the specification wants an error",
    ...refusal((_, spec) => {
      const rule = { names: ["mkdir"], action: "SCMP_ACT_KILL_PROCESS", errnoRet: 1 };
      spec.linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW", syscalls: [rule] };
    }),
  },
  "system calls without names": {
    onlyOurs: "names are required",
    ...refusal((_, spec) => {
      spec.linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ action: "SCMP_ACT_ERRNO" }] };
    }),
  },
};

function others({ linux }: Spec, type: string): Spec[] {
  return linux.namespaces.filter((one: Spec) => one.type !== type);
}
