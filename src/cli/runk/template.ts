/** The configuration that `runk spec` writes: a shell in its own namespaces, with few capabilities. @module */
import { type Capabilities, type Mount, OCI_VERSION, type Spec } from "../../oci/spec/spec.ts";

const CAPABILITIES = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];

const MOUNTS: readonly Mount[] = [
  { destination: "/proc", type: "proc", source: "proc" },
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
    options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
  },
  {
    destination: "/dev/shm",
    type: "tmpfs",
    source: "shm",
    options: ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
  },
  { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"] },
  { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
  {
    destination: "/sys/fs/cgroup",
    type: "cgroup",
    source: "cgroup",
    options: ["nosuid", "noexec", "nodev", "relatime", "ro"],
  },
];

/** For root. */
export function template(): Spec {
  const capabilities: Capabilities = { bounding: CAPABILITIES, effective: CAPABILITIES, permitted: CAPABILITIES };
  return {
    ociVersion: OCI_VERSION,
    process: {
      terminal: true,
      user: { uid: 0, gid: 0 },
      args: ["sh"],
      env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
      cwd: "/",
      capabilities,
      rlimits: [{ type: "RLIMIT_NOFILE", hard: 1024, soft: 1024 }],
      noNewPrivileges: true,
    },
    root: { path: "rootfs", readonly: true },
    hostname: "runk",
    mounts: [...MOUNTS],
    linux: {
      resources: { devices: [{ allow: false, access: "rwm" }] },
      namespaces: [{ type: "pid" }, { type: "network" }, { type: "ipc" }, { type: "uts" }, { type: "mount" }],
      maskedPaths: [
        "/proc/acpi",
        "/proc/asound",
        "/proc/kcore",
        "/proc/keys",
        "/proc/latency_stats",
        "/proc/timer_list",
        "/proc/timer_stats",
        "/proc/sched_debug",
        "/sys/firmware",
        "/proc/scsi",
      ],
      readonlyPaths: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    },
  };
}

/** For a user who maps only themself, and who can neither make a network nor limit resources. */
export function rootlessTemplate(): Spec {
  const { linux = {}, mounts = [], ...spec } = template();
  const { resources: _, namespaces = [], ...rest } = linux;
  const bindSys: Mount = {
    destination: "/sys",
    type: "none",
    source: "/sys",
    options: ["rbind", "nosuid", "noexec", "nodev", "ro"],
  };
  const kept = mounts.filter(({ destination }) => !destination.startsWith("/sys")).map((mount) => ({
    ...mount,
    // Group 5 (tty) is not mapped.
    ...(mount.options && { options: mount.options.filter((option) => option !== "gid=5") }),
  }));
  return {
    ...spec,
    mounts: [...kept, bindSys],
    linux: {
      ...rest,
      uidMappings: [{ containerID: 0, hostID: Deno.uid() ?? 0, size: 1 }],
      gidMappings: [{ containerID: 0, hostID: Deno.gid() ?? 0, size: 1 }],
      namespaces: [...namespaces.filter(({ type }) => type !== "network"), { type: "user" }],
    },
  };
}
