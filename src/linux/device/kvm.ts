/**
 * Whether this machine can run virtual machines in hardware, and which protections its processor offers them.
 *
 * @see https://docs.kernel.org/virt/kvm/api.html
 * @module
 */
import { isErrno } from "../ffi/errno.ts";
import { Fd, O_RDWR } from "../io/fd.ts";
import { ioctl } from "../ffi/ioctl.ts";

const KVM_GET_API_VERSION = { name: "KVM_GET_API_VERSION", number: 0xae00 };
const KVM_API_VERSION = 12;

/** Where to look; other places in tests. */
export interface KvmProbe {
  device?: string;
  cpuinfo?: string;
  arch?: typeof Deno.build.arch;
}

/** `reason` is for people: `/dev/kvm cannot be opened: EACCES`. */
export type KvmUsability = { usable: true } | { usable: false; reason: string };

/**
 * Looks whether KVM can be used: the device opens and, on x86, the processor has the extensions. The device alone says
 * too little, because some nested hosts offer one under which no kernel boots.
 */
export function probeKvm(options: KvmProbe = {}): KvmUsability {
  const { device = "/dev/kvm", cpuinfo = "/proc/cpuinfo", arch = Deno.build.arch } = options;
  const refused = refusedBy(device);
  if (refused !== undefined) return { usable: false, reason: refused };
  if (arch === "x86_64" && !hasVirtualization(Deno.readTextFileSync(cpuinfo))) {
    return { usable: false, reason: "the processor shows neither vmx nor svm" };
  }
  return { usable: true };
}

function refusedBy(device: string): string | undefined {
  try {
    using fd = Fd.open(device, O_RDWR);
    const version = ioctl(fd, KVM_GET_API_VERSION);
    return version === KVM_API_VERSION ? undefined : `${device} has API version ${version}, not ${KVM_API_VERSION}`;
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENODEV", "ENXIO")) return `there is no ${device}`;
    return `${device} cannot be used: ${(error as Error).message}`;
  }
}

/** Whether an x86 processor has virtualization. @param cpuinfo The text of `/proc/cpuinfo`. */
export function hasVirtualization(cpuinfo: string): boolean {
  return cpuFlags(cpuinfo).some((flag) => flag === "vmx" || flag === "svm");
}

/** Flags of the first processor: `flags` on x86, `Features` on arm64. */
export function cpuFlags(cpuinfo: string): string[] {
  return /^(?:flags|Features)\s*:\s*(.*)$/m.exec(cpuinfo)?.[1]?.split(" ") ?? [];
}
