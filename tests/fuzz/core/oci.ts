/** OCI specifications: a full one, and what is changed in it. @module */
import type { Random } from "./random.ts";
import { type Json, mutateJson } from "./values.ts";

/** As an engine writes it, with all that the specification knows. */
export const FULL_SPEC: Json = {
  ociVersion: "1.2.0",
  root: { path: "rootfs", readonly: true },
  hostname: "box",
  domainname: "example.org",
  process: {
    terminal: false,
    consoleSize: { height: 24, width: 80 },
    user: { uid: 0, gid: 0, umask: 18, additionalGids: [10, 11] },
    args: ["/bin/true", "x"],
    env: ["PATH=/bin:/usr/bin", "HOME=/root", "A=b"],
    cwd: "/",
    capabilities: {
      bounding: ["CAP_CHOWN", "CAP_KILL"],
      effective: ["CAP_CHOWN"],
      inheritable: [],
      permitted: ["CAP_CHOWN", "CAP_KILL"],
      ambient: [],
    },
    rlimits: [{ type: "RLIMIT_NOFILE", hard: 1024, soft: 1024 }],
    noNewPrivileges: true,
    oomScoreAdj: 100,
    scheduler: { policy: "SCHED_OTHER", nice: 1 },
    ioPriority: { class: "IOPRIO_CLASS_BE", priority: 4 },
    execCPUAffinity: { initial: "0", final: "0-1" },
  },
  mounts: [
    { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
    {
      destination: "/dev",
      type: "tmpfs",
      source: "tmpfs",
      options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
    },
    {
      destination: "/dev/pts",
      type: "devpts",
      source: "devpts",
      options: ["newinstance", "ptmxmode=0666", "mode=0620"],
    },
    { destination: "/dev/shm", type: "tmpfs", source: "shm", options: ["nosuid", "size=65536k"] },
    { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "ro"] },
    { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro", "nosuid"] },
    { destination: "/etc/hosts", type: "bind", source: "/etc/passwd", options: ["rbind", "rprivate", "ro"] },
    { destination: "/data", type: "bind", source: "/tmp", options: ["bind", "rw", "rslave"] },
  ],
  hooks: { prestart: [{ path: "/bin/true", args: ["true"], env: ["X=1"], timeout: 1 }], poststop: [] },
  annotations: { "io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": "s1", "a.b": "c" },
  linux: {
    namespaces: [{ type: "pid" }, { type: "network" }, { type: "ipc" }, { type: "uts" }, { type: "mount" }, {
      type: "cgroup",
    }],
    uidMappings: [],
    gidMappings: [],
    cgroupsPath: "/kata-fuzz/c1",
    sysctl: { "net.ipv4.ip_forward": "1", "kernel.shm_rmid_forced": "0" },
    resources: {
      devices: [{ allow: false, access: "rwm" }, { allow: true, type: "c", major: 1, minor: 3, access: "rwm" }],
      memory: { limit: 134217728, reservation: 1, swap: -1, swappiness: 0 },
      cpu: { shares: 1024, quota: 50000, period: 100000, cpus: "0", mems: "0" },
      pids: { limit: 100 },
      blockIO: { weight: 10, throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 600 }] },
      hugepageLimits: [{ pageSize: "2MB", limit: 9223372036854772000 }],
      network: { classID: 1, priorities: [{ name: "lo", priority: 1 }] },
      unified: { "memory.high": "1000" },
    },
    devices: [{ path: "/dev/fuse", type: "c", major: 10, minor: 229, fileMode: 438, uid: 0, gid: 0 }],
    seccomp: {
      defaultAction: "SCMP_ACT_ERRNO",
      defaultErrnoRet: 1,
      architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
      flags: ["SECCOMP_FILTER_FLAG_LOG"],
      syscalls: [
        { names: ["read", "write", "exit_group", "execve"], action: "SCMP_ACT_ALLOW" },
        {
          names: ["clone", "personality"],
          action: "SCMP_ACT_ALLOW",
          args: [{ index: 0, value: 2114060288, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }],
        },
      ],
    },
    rootfsPropagation: "rslave",
    maskedPaths: ["/proc/kcore", "/proc/keys"],
    readonlyPaths: ["/proc/sys", "/proc/bus"],
    personality: { domain: "LINUX" },
    timeOffsets: { monotonic: { secs: 1, nanosecs: 2 } },
  },
};

/** The text of a specification with a few places changed: of one that fits everywhere, or of the full one. */
export function anySpec(random: Random, base: Json = FULL_SPEC, most = 4): string {
  return JSON.stringify(mutateJson(random, base, most));
}
