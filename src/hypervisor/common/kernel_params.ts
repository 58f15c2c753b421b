/** The guest kernel's command line (B43). Pure. @module */
import type { VmConfig } from "../vm_config.ts";

/** Linux cuts longer command lines off (COMMAND_LINE_SIZE of x86-64). */
const MOST_BYTES = 2047;

/** Parameters of each guest: no noise, and the end of the kernel is the end of the VM. */
const BASE = [
  "panic=-1", // reboot at once, which ends the monitor or is told by it, so that the runtime sees it
  "oops=panic", // a thread that the kernel stops may be the agent's, or hold what the agent waits for: no hanging VM
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

/** Parameters of the machine's kind: no legacy hardware to probe, and clocks that are taken for what they are. */
const ARCH: Readonly<Record<typeof Deno.build.arch, readonly string[]>> = {
  x86_64: [
    "8250.nr_uarts=1",
    "i8042.noaux",
    "i8042.nokbd",
    "i8042.nopnp",
    "tsc=reliable",
    "pcie_ports=compat", // what is plugged is told by ACPI; services of the ports themselves would cost each 20 ms
    "no_timer_check",
    "noreplace-smp",
  ],
  aarch64: [],
};

const QUIET = ["quiet", "loglevel=1"] as const;
const DEBUG = ["ignore_loglevel"] as const;

/** Words that the monitor's own machine needs. */
export interface MonitorWords {
  /** How the guest's kernel names the image: `/dev/vda`. */
  rootDevice: string;
  /** Where the guest's kernel writes its messages: `ttyS0`. */
  console: string;
  /** Of the guest. */
  architecture: typeof Deno.build.arch;
  /** Further words, such as where the agent listens. */
  more?: readonly string[];
}

/**
 * Words of the command line in a fixed order: root device, defaults, the monitor's, the agent's, the user's. A later word
 * beats all earlier ones of the same name; words of one source may repeat a name, as `console=` does.
 *
 * @throws {RangeError} If the kernel would cut it off.
 */
export function kernelCommandLine(vm: BootWords, words: MonitorWords): string {
  const { rootDevice, console, architecture, more = [] } = words;
  const { image, kernelParams: { agent, user } } = vm;
  const root = image === undefined ? [] : [`root=${rootDevice}`, `rootfstype=${image.fsType}`, "ro"];
  const verbosity = vm.console.isVerbose ? DEBUG : QUIET;
  const defaults = [`console=${console}`, ...ARCH[architecture], ...BASE, ...verbosity];
  const line = mergeParams([root, defaults, [...more, ...agent], splitParams(user)]).join(" ");
  if (line.length > MOST_BYTES) {
    throw new RangeError(`Cannot use a kernel command line of ${line.length} bytes: the most is ${MOST_BYTES}`);
  }
  return line;
}

/** Fields of a VM that the command line tells. */
type BootWords = Pick<VmConfig, "image" | "kernelParams"> & { console: Pick<VmConfig["console"], "isVerbose"> };

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
