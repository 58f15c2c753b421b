/** Rules between keys and against the host: one row and one named function per rule, each with its message. @module */
import { KataError } from "../base/error.ts";
import { distrust } from "../linux/fs/trusted.ts";
import { type Config, tableOf, TABLES } from "./tables.ts";

/** Facts about the host that the rules use. */
export interface HostFacts {
  cpus: number;
  memoryMiB: number;
  /** Why a file cannot be read, such as `ENOENT`; undefined if it can. */
  fileProblem(path: string): string | undefined;
  /** As `fileProblem`, for what runs as root: also if others than the administrator can change it. */
  programProblem(path: string): string | undefined;
}

/** A condition on one key, on several, or on a key and the host. */
export interface Rule {
  keys: readonly KeyName[];
  /** For the reference: what must be so. */
  says: string;
  /** A complaint, or undefined. */
  check(config: Config, host: HostFacts): string | undefined;
}

/** A table of a configuration, and a key in it. */
type KeyName = { [T in keyof Config]: `${T}.${keyof Config[T] & string}` }[keyof Config];

/** Less does not boot any kernel. */
const LEAST_MEMORY_MIB = 64;
/** QEMU's q35 without an interrupt remapper cannot address more. */
const MOST_VCPUS = 255;

export const RULES: readonly Rule[] = [
  {
    keys: ["hypervisor.path"],
    says: "It exists, and nobody but the administrator can change it.",
    check: hypervisorIsTrusted,
  },
  { keys: ["hypervisor.kernel"], says: "It can be read.", check: kernelExists },
  { keys: ["hypervisor.image"], says: "It is empty, or can be read.", check: fileExists("image") },
  { keys: ["hypervisor.initrd"], says: "It is empty, or can be read.", check: fileExists("initrd") },
  { keys: ["hypervisor.firmware"], says: "It is empty, or can be read.", check: fileExists("firmware") },
  {
    keys: ["hypervisor.virtio_fs_daemon"],
    says: "It exists, and nobody but the administrator can change it.",
    check: shareDaemonIsTrusted,
  },
  {
    keys: ["hypervisor.vhost_vsock_daemon", "hypervisor.agent_transport"],
    says: "Where the transport may be hybrid-vsock and the daemon exists, nobody but the administrator can change it.",
    check: vsockDaemonIsTrusted,
  },
  {
    keys: ["hypervisor.image", "hypervisor.initrd"],
    says: "There is an image, an initrd, or both.",
    check: hasSomethingToBoot,
  },
  { keys: ["hypervisor.default_memory"], says: `It is at least ${LEAST_MEMORY_MIB} MiB.`, check: memoryIsEnough },
  {
    keys: ["hypervisor.default_memory", "hypervisor.default_maxmemory"],
    says: "The memory at the boot is no more than the most, nor than the host has.",
    check: memoryFitsLimit,
  },
  {
    keys: ["hypervisor.enable_annotations"],
    says: "Each is a regular expression of JavaScript.",
    check: annotationsAreExpressions,
  },
];

/**
 * Fills in the numbers that depend on the host, then applies all rules.
 *
 * @throws {KataError} INVALID_ARGUMENT: one line with every rule that is broken, naming keys and files (B46).
 */
export function checkConfig(config: Config, host: HostFacts = readHostFacts()): Config {
  const resolved = { ...config, hypervisor: resolveSizes(config.hypervisor, host) };
  const problems = RULES.map(({ check }) => check(resolved, host)).filter((problem) => problem !== undefined);
  if (problems.length === 0) return resolved;
  throw new KataError("INVALID_ARGUMENT", `Cannot use the configuration: ${problems.join("; ")}`);
}

/** One line per key that is set to something and that nobody reads yet, for the log. */
export function warnOfPlanned(config: Config): string[] {
  const tables = ["hypervisor", ...Object.keys(TABLES)] as (keyof Config)[];
  return tables.flatMap((table) => {
    const { path, keys } = tableOf(config, table);
    const values: Readonly<Record<string, unknown>> = config[table];
    const asked = Object.entries(keys).filter(([name, key]) =>
      key.status === "planned" && String(values[name]) !== String(key.default)
    );
    return asked.map(([name]) => `Setting ${path}.${name} has no effect: it is not supported yet`);
  });
}

/** Reads the facts of this machine. */
export function readHostFacts(): HostFacts {
  return {
    cpus: navigator.hardwareConcurrency,
    memoryMiB: Math.floor(Deno.systemMemoryInfo().total / 2 ** 20),
    fileProblem,
    programProblem: distrust,
  };
}

function fileProblem(path: string): string | undefined {
  try {
    Deno.openSync(path).close();
    return undefined;
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : String(error);
  }
}

/** Zero and negative numbers mean "as the host has". */
function resolveSizes(qemu: Config["hypervisor"], host: HostFacts): Config["hypervisor"] {
  const most = Math.min(host.cpus, MOST_VCPUS);
  const vcpus = qemu.default_vcpus < 0 ? most : qemu.default_vcpus || 1;
  const limit = qemu.default_maxvcpus === 0 ? most : Math.min(qemu.default_maxvcpus, MOST_VCPUS);
  const maxMemory = qemu.default_maxmemory === 0 ? host.memoryMiB : Math.min(qemu.default_maxmemory, host.memoryMiB);
  return {
    ...qemu,
    default_vcpus: Math.min(vcpus, most),
    default_maxvcpus: Math.max(limit, Math.ceil(Math.min(vcpus, most))),
    default_maxmemory: maxMemory,
  };
}

/** A key of the hypervisor's table, as the file has it. */
function named(config: Config, key: keyof Config["hypervisor"]): string {
  return `${tableOf(config, "hypervisor").path}.${key}`;
}

function hypervisorIsTrusted(config: Config, host: HostFacts): string | undefined {
  const { path } = config.hypervisor;
  if (path === "") return `${named(config, "path")} is empty`;
  return complaint(`${named(config, "path")} "${path}"`, host.programProblem(path));
}

function kernelExists(config: Config, host: HostFacts): string | undefined {
  const { kernel } = config.hypervisor;
  if (kernel === "") return `${named(config, "kernel")} is empty`;
  return complaint(`${named(config, "kernel")} "${kernel}"`, host.fileProblem(kernel));
}

function fileExists(key: "image" | "initrd" | "firmware"): Rule["check"] {
  return (config, host) => {
    const path = config.hypervisor[key];
    return path === "" ? undefined : complaint(`${named(config, key)} "${path}"`, host.fileProblem(path));
  };
}

function complaint(what: string, problem: string | undefined): string | undefined {
  return problem && `${what}: ${problem}`;
}

function shareDaemonIsTrusted(config: Config, host: HostFacts): string | undefined {
  const { virtio_fs_daemon: path } = config.hypervisor;
  return complaint(`${named(config, "virtio_fs_daemon")} "${path}"`, host.programProblem(path));
}

/** Where the daemon is not there, another transport is taken. */
function vsockDaemonIsTrusted(config: Config, host: HostFacts): string | undefined {
  const { agent_transport: transport, vhost_vsock_daemon: path } = config.hypervisor;
  if (transport !== "auto" && transport !== "hybrid-vsock") return undefined;
  const problem = host.programProblem(path);
  return problem === "ENOENT" ? undefined : complaint(`${named(config, "vhost_vsock_daemon")} "${path}"`, problem);
}

function hasSomethingToBoot(config: Config): string | undefined {
  const { image, initrd } = config.hypervisor;
  if (image !== "" || initrd !== "") return undefined;
  return `${tableOf(config, "hypervisor").path} needs an image, an initrd, or both`;
}

function memoryIsEnough(config: Config): string | undefined {
  const { default_memory: wanted } = config.hypervisor;
  if (wanted >= LEAST_MEMORY_MIB) return undefined;
  return `${named(config, "default_memory")} is ${wanted} MiB, the least is ${LEAST_MEMORY_MIB}`;
}

function memoryFitsLimit(config: Config): string | undefined {
  const { default_memory: wanted, default_maxmemory: limit } = config.hypervisor;
  if (wanted <= limit) return undefined;
  const name = named(config, "default_memory");
  return `${name} is ${wanted} MiB, more than default_maxmemory or the host's memory, ${limit} MiB`;
}

function annotationsAreExpressions(config: Config): string | undefined {
  const wrong = config.hypervisor.enable_annotations.find((text) => !isExpression(text));
  return wrong && `${named(config, "enable_annotations")} holds "${wrong}", which is no regular expression`;
}

function isExpression(text: string): boolean {
  try {
    new RegExp(text);
    return true;
  } catch {
    return false;
  }
}
