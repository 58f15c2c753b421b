/** The guest kernel's command line (B43). Pure. @module */
import { type Level, parseLevel } from "../../base/log.ts";
import type { AgentConfig, QemuConfig } from "../../config/schema.ts";
import { agentKernelParameters } from "../../agent_api/options.ts";

/** Linux cuts longer command lines off (COMMAND_LINE_SIZE of x86-64). */
const MOST_BYTES = 2047;

/** Parameters of each guest: no noise, no legacy hardware to probe, and the end of the kernel is the end of the VM. */
const BASE = [
  "panic=-1", // reboot at once, which ends QEMU (-no-reboot), so that the runtime sees it
  "oops=panic", // a thread that the kernel stops may be the agent's, or hold what the agent waits for: no hanging VM
  "console=ttyS0",
  "8250.nr_uarts=1",
  "i8042.noaux",
  "i8042.nokbd",
  "i8042.nopnp",
  "tsc=reliable",
  "no_timer_check",
  "noreplace-smp",
  "rcupdate.rcu_expedited=1",
  "cryptomgr.notests",
  "random.trust_cpu=on",
  "audit=0",
  "selinux=0",
  "apparmor=0",
  "nowatchdog",
  // The time that tasks wait for resources, added up at each switch for each group above them: in an emulated guest this
  // is a twentieth of what a packet takes there and back. Kata asks for it (psi=1) with its memory agent only.
  "psi=0",
  // Version 2 in the guest, as Kata has it: one hierarchy to mount, and one group per container to make and to join.
  "cgroup_no_v1=all",
  "systemd.unified_cgroup_hierarchy=1",
  // A self-test, and certificates for signatures of modules, which the guest does not ask for: a tenth of the boot.
  "initcall_blacklist=crypto_kdf108_init,load_system_certificate_list",
] as const;

const QUIET = ["quiet", "loglevel=1"] as const;
const DEBUG = ["ignore_loglevel"] as const;

/**
 * Words of the command line in a fixed order: root device, defaults, the caller's, the user's. A later word beats all
 * earlier ones of the same name; words of one source may repeat a name, as `console=` does.
 *
 * @param extra Words of the caller, such as the agent's options.
 * @throws {RangeError} If the kernel would cut it off.
 */
export function kernelParams(config: QemuConfig, extra: readonly string[] = []): string {
  const defaults = [...BASE, ...(config.enable_debug ? DEBUG : QUIET)];
  const words = mergeParams([rootParams(config), defaults, extra, splitParams(config.kernel_params)]);
  const line = words.join(" ");
  if (line.length > MOST_BYTES) {
    throw new RangeError(`Cannot use a kernel command line of ${line.length} bytes: the most is ${MOST_BYTES}`);
  }
  return line;
}

type AgentWords = Pick<AgentConfig, "enable_debug" | "log_level" | "host_proof" | "container_vsock">;

/** Parameters that the configuration sets for the agent. @throws {RangeError} `log_level` is no level. */
export function agentParams(
  { enable_debug, log_level, host_proof: hostProof, container_vsock: containerVsock }: AgentWords,
): string[] {
  const logLevel: Level = log_level !== "" ? parseLevel(log_level) : enable_debug ? "debug" : "info";
  return agentKernelParameters({ logLevel, hostProof, containerVsock }); // without the agent's own defaults
}

/** Lists laid over each other: a name in a later list removes it from all earlier ones. */
export function mergeParams(lists: readonly (readonly string[])[]): string[] {
  return lists.flatMap((words, index) => {
    const beaten = new Set(lists.slice(index + 1).flat().map(nameOf));
    return words.filter((word) => !beaten.has(nameOf(word)));
  });
}

/** Words of a command line; a double quote holds spaces together, as the kernel reads it. */
export function splitParams(line: string): string[] {
  return line.match(/(?:[^\s"]|"[^"]*"?)+/g) ?? [];
}

/** The kernel takes `-` and `_` in names for the same. */
function nameOf(word: string): string {
  return (word.split("=", 1)[0] ?? "").replaceAll("-", "_");
}

/** The image is the first virtio disk, read-only; an initrd alone is the whole guest. */
function rootParams({ image, rootfs_type }: QemuConfig): string[] {
  return image === "" ? [] : ["root=/dev/vda", `rootfstype=${rootfs_type}`, "ro"];
}
