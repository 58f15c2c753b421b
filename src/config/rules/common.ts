/** Rules for the configuration of each hypervisor: one row and one named function per rule, each with its message. @module */
import { configuredSizes } from "../sizes.ts";
import { type Config, tableOf } from "../tables.ts";
import { VIRTIO_FS_DAEMONS } from "../virtio_fs_daemons.ts";
import { fileComplaint, type HostFacts, named, programComplaint, type Rule } from "./rule.ts";

/** Less does not boot any kernel. */
const LEAST_MEMORY_MIB = 64;

export const COMMON_RULES: readonly Rule[] = [
  { keys: ["hypervisor.kernel"], says: "It can be read.", check: kernelExists },
  { keys: ["hypervisor.image"], says: "It is empty, or can be read.", check: fileExists("image") },
  { keys: ["hypervisor.initrd"], says: "It is empty, or can be read.", check: fileExists("initrd") },
  {
    keys: ["hypervisor.virtio_fs_daemon"],
    says: "It exists, or one of the usual places has one, and nobody but the administrator can change it.",
    check: shareDaemonIsTrusted,
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

function kernelExists(config: Config, host: HostFacts): string | undefined {
  const { kernel } = config.hypervisor;
  const name = named(config, "kernel");
  return kernel === "" ? `${name} is empty` : fileComplaint({ path: kernel, name }, host);
}

function fileExists(key: "image" | "initrd"): Rule["check"] {
  return (config, host) => fileComplaint({ path: config.hypervisor[key], name: named(config, key) }, host);
}

function shareDaemonIsTrusted(config: Config, host: HostFacts): string | undefined {
  const { virtio_fs_daemon: path } = config.hypervisor;
  const name = named(config, "virtio_fs_daemon");
  if (path !== "") return programComplaint({ path, name }, host);
  const problems = VIRTIO_FS_DAEMONS.map((place) => `"${place}": ${host.programProblem(place)}`);
  if (problems.some((problem) => problem.endsWith(": undefined"))) return undefined;
  return `${name} is empty, and there is no virtiofsd (${problems.join(", ")})`;
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

function memoryFitsLimit(config: Config, host: HostFacts): string | undefined {
  const { memoryMiB: wanted, maxMemoryMiB: limit } = configuredSizes(config.hypervisor, host);
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
