/**
 * Running a container in a guest that is to become a template, and taking it away again: so the agent has compiled what
 * the first container of a sandbox needs, and the kernel has read it.
 *
 * @module
 */
import type { Storage } from "../../agent_api/storage.ts";
import { OCI_VERSION, type Process, type Spec } from "../../oci/spec/spec.ts";
import { GUEST_PATH, STORAGE_DRIVER } from "../../agent_api/names.ts";
import type { AgentConnection } from "../agent/client.ts";

const ID = "template";
const ROOTFS = `${GUEST_PATH.containers}/template-rootfs`;
/** The first run compiles, the later ones tell the engine what is worth it. */
const ROUNDS = 3;
const READ_BYTES = 32 * 1024;

const CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID", "SYS_CHROOT"]
  .map((name) => `CAP_${name}`);

const PROCESS: Process = {
  user: { uid: 0, gid: 0, additionalGids: [0] },
  args: ["/bin/busybox", "cat"],
  env: ["PATH=/bin"],
  cwd: "/",
  capabilities: { bounding: CAPABILITIES, effective: CAPABILITIES, permitted: CAPABILITIES },
  rlimits: [{ type: "RLIMIT_NOFILE", hard: 1024, soft: 1024 }],
  noNewPrivileges: true,
};

/** As containerd makes them; the root file system is an empty one, as nothing is shared with the host yet. */
const SPEC: Spec = {
  ociVersion: OCI_VERSION,
  process: PROCESS,
  root: { path: ROOTFS },
  mounts: [
    { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
    { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "strictatime", "mode=755"] },
    { destination: "/dev/pts", type: "devpts", source: "devpts", options: ["nosuid", "noexec", "newinstance"] },
    { destination: "/dev/shm", type: "bind", source: GUEST_PATH.shm, options: ["rbind"] },
    { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"] },
    { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
    { destination: "/run", type: "tmpfs", source: "tmpfs", options: ["nosuid", "strictatime", "mode=755"] },
    { destination: "/bin", type: "bind", source: "/usr/bin", options: ["rbind", "ro"] },
  ],
  linux: {
    cgroupsPath: `/default/${ID}`,
    namespaces: [{ type: "ipc" }, { type: "uts" }, { type: "mount" }],
    maskedPaths: ["/proc/acpi", "/proc/kcore", "/proc/keys", "/sys/firmware"],
    readonlyPaths: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
  },
};

/** Leaves the guest as its boot left it. */
export async function warmUp(agent: AgentConnection): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) {
    const { machine, network } = agent;
    await machine.check();
    await Promise.all([
      machine.seed(crypto.getRandomValues(new Uint8Array(64))),
      machine.create({ id: ID, nameServers: ["nameserver 127.0.0.1"], storages: [SHM] }),
      network.setRoutes([]),
    ]);
    await runContainer(agent);
    await machine.destroy({ keepGuest: true });
  }
}

const SHM: Storage = {
  driver: STORAGE_DRIVER.ephemeral,
  source: "shm",
  fstype: "tmpfs",
  options: ["noexec", "nosuid", "nodev", "mode=1777", "size=1048576"],
  mountPoint: GUEST_PATH.shm,
};

async function runContainer(agent: AgentConnection): Promise<void> {
  const { containers, processes } = agent;
  const root = { ...SHM, source: "rootfs", options: ["nodev"], mountPoint: ROOTFS };
  await containers.create({ id: ID, spec: SPEC, storages: [root] });
  await containers.start(ID);
  await processes.exec({ containerId: ID, execId: "exec" }, PROCESS);
  await copyThrough(agent, "exec");
  await containers.stats(ID);
  await copyThrough(agent, "");
  await containers.remove(ID);
}

/** Writes to a process that gives back what it reads, reads it, and waits for the end that the end of its input brings. */
async function copyThrough({ processes, streams }: AgentConnection, execId: string): Promise<void> {
  const id = { containerId: ID, execId };
  const reading = Promise.all([
    streams.read(id, { from: "stdout", length: READ_BYTES }),
    streams.read(id, { from: "stderr", length: 1 }),
  ]);
  const waiting = processes.wait(id);
  await streams.write(id, new TextEncoder().encode("warm\n"));
  await streams.finish(id);
  await Promise.all([reading, waiting]);
}
