/** Rules between fields and against the host: one named function per rule, each with its message. @module */
import { KataError } from "../base/error.ts";
import { distrust } from "../linux/fs/trusted.ts";
import type { Config } from "./schema.ts";

/** What the rules need to know of the host. */
export interface HostFacts {
  cpus: number;
  memoryMiB: number;
  /** Why a file cannot be read, such as `ENOENT`; undefined if it can. */
  fileProblem(path: string): string | undefined;
  /** As `fileProblem`, for what runs as root: also if others than the administrator can change it. */
  programProblem(path: string): string | undefined;
}

/** A complaint, or undefined. */
type Rule = (config: Config, host: HostFacts) => string | undefined;

/** Less does not boot any kernel. */
const LEAST_MEMORY_MIB = 64;
/** QEMU's q35 without an interrupt remapper cannot address more. */
const MOST_VCPUS = 255;

const RULES: readonly Rule[] = [
  fileRule("path", "programProblem"),
  fileRule("kernel"),
  fileRule("image"),
  fileRule("initrd"),
  fileRule("firmware"),
  shareDaemonExists,
  vsockDaemonIsTrusted,
  hasSomethingToBoot,
  memoryIsEnough,
  memoryFitsLimit,
  annotationsAreExpressions,
];

/**
 * Fills in the numbers that depend on the host, then applies all rules.
 *
 * @throws {KataError} INVALID_ARGUMENT: one line with every rule that is broken, naming keys and files (B46).
 */
export function checkConfig(config: Config, host: HostFacts = readHostFacts()): Config {
  const resolved = { ...config, hypervisor: resolveSizes(config.hypervisor, host) };
  const problems = RULES.map((rule) => rule(resolved, host)).filter((problem) => problem !== undefined);
  if (problems.length === 0) return resolved;
  throw new KataError("INVALID_ARGUMENT", `Cannot use the configuration: ${problems.join("; ")}`);
}

/** Settings that are taken, but of which nothing comes yet. */
const UNBUILT: Readonly<Record<string, (config: Config) => boolean>> = {
  "agent.kata.debug_console_enabled": ({ agent }) => agent.debug_console_enabled,
  "runtime.keep_abnormal": ({ runtime }) => runtime.keep_abnormal,
  "runtime.experimental": ({ runtime }) => runtime.experimental.length > 0,
};

/** One line per setting that asks for what is not there, for the log. */
export function warnOfUnbuilt(config: Config): string[] {
  const asked = Object.entries(UNBUILT).filter(([, isAsked]) => isAsked(config));
  return asked.map(([key]) => `Setting ${key} has no effect: it is not supported yet`);
}

/** What this machine has. */
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

function fileRule(
  key: "path" | "kernel" | "image" | "initrd" | "firmware",
  look: "fileProblem" | "programProblem" = "fileProblem",
): Rule {
  return ({ hypervisor }, host) => {
    const path = hypervisor[key];
    const isOptional = key !== "path" && key !== "kernel";
    if (path === "") return isOptional ? undefined : `hypervisor.qemu.${key} is empty`;
    const problem = host[look](path);
    return problem && `hypervisor.qemu.${key} "${path}": ${problem}`;
  };
}

function shareDaemonExists({ hypervisor }: Config, host: HostFacts): string | undefined {
  if (hypervisor.shared_fs !== "virtio-fs") return undefined;
  const problem = host.programProblem(hypervisor.virtio_fs_daemon);
  return problem && `hypervisor.qemu.virtio_fs_daemon "${hypervisor.virtio_fs_daemon}": ${problem}`;
}

/** Where the daemon is not there, another transport is taken. */
function vsockDaemonIsTrusted({ hypervisor }: Config, host: HostFacts): string | undefined {
  if (hypervisor.agent_transport !== "auto" && hypervisor.agent_transport !== "hybrid-vsock") return undefined;
  const problem = host.programProblem(hypervisor.vhost_vsock_daemon);
  if (problem === undefined || problem === "ENOENT") return undefined;
  return `hypervisor.qemu.vhost_vsock_daemon "${hypervisor.vhost_vsock_daemon}": ${problem}`;
}

function hasSomethingToBoot({ hypervisor }: Config): string | undefined {
  if (hypervisor.image !== "" || hypervisor.initrd !== "") return undefined;
  return "hypervisor.qemu needs an image, an initrd, or both";
}

function memoryIsEnough({ hypervisor }: Config): string | undefined {
  if (hypervisor.default_memory >= LEAST_MEMORY_MIB) return undefined;
  return `hypervisor.qemu.default_memory is ${hypervisor.default_memory} MiB, the least is ${LEAST_MEMORY_MIB}`;
}

function memoryFitsLimit({ hypervisor }: Config): string | undefined {
  const { default_memory: wanted, default_maxmemory: limit } = hypervisor;
  if (wanted <= limit) return undefined;
  return `hypervisor.qemu.default_memory is ${wanted} MiB, more than default_maxmemory or the host's memory, ${limit} MiB`;
}

function annotationsAreExpressions({ hypervisor }: Config): string | undefined {
  const wrong = hypervisor.enable_annotations.find((text) => !isExpression(text));
  return wrong && `hypervisor.qemu.enable_annotations holds "${wrong}", which is no regular expression`;
}

function isExpression(text: string): boolean {
  try {
    new RegExp(text);
    return true;
  } catch {
    return false;
  }
}
