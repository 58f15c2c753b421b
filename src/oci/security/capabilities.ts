/**
 * Capability sets of a process, from names to the bits that the kernel takes.
 *
 * @see https://man7.org/linux/man-pages/man7/capabilities.7.html
 * @module
 */
import { type Capabilities, CAPABILITY_SETS } from "../spec/process.ts";

/** In the order of their numbers. */
const NAMES = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_DAC_READ_SEARCH",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETPCAP",
  "CAP_LINUX_IMMUTABLE",
  "CAP_NET_BIND_SERVICE",
  "CAP_NET_BROADCAST",
  "CAP_NET_ADMIN",
  "CAP_NET_RAW",
  "CAP_IPC_LOCK",
  "CAP_IPC_OWNER",
  "CAP_SYS_MODULE",
  "CAP_SYS_RAWIO",
  "CAP_SYS_CHROOT",
  "CAP_SYS_PTRACE",
  "CAP_SYS_PACCT",
  "CAP_SYS_ADMIN",
  "CAP_SYS_BOOT",
  "CAP_SYS_NICE",
  "CAP_SYS_RESOURCE",
  "CAP_SYS_TIME",
  "CAP_SYS_TTY_CONFIG",
  "CAP_MKNOD",
  "CAP_LEASE",
  "CAP_AUDIT_WRITE",
  "CAP_AUDIT_CONTROL",
  "CAP_SETFCAP",
  "CAP_MAC_OVERRIDE",
  "CAP_MAC_ADMIN",
  "CAP_SYSLOG",
  "CAP_WAKE_ALARM",
  "CAP_BLOCK_SUSPEND",
  "CAP_AUDIT_READ",
  "CAP_PERFMON",
  "CAP_BPF",
  "CAP_CHECKPOINT_RESTORE",
] as const;

/** Number of CAP_SYS_ADMIN: loading a seccomp filter needs it. */
export const CAP_SYS_ADMIN = 21;

/** A set of capabilities: bit N stands for the capability number N. */
export type CapabilitySet = bigint;

/** The five sets of a process. */
export interface CapabilitySets {
  bounding: CapabilitySet;
  effective: CapabilitySet;
  inheritable: CapabilitySet;
  permitted: CapabilitySet;
  ambient: CapabilitySet;
}

/** Every name that is understood, for `features`. */
export function knownCapabilities(): readonly string[] {
  return NAMES;
}

/**
 * The bits of the given names, with or without `CAP_`, in either case. A name that no kernel has is passed over, as the
 * specification wants it: a configuration may be newer than we are.
 */
export function parseCapabilities(names: readonly string[]): CapabilitySet {
  // As two numbers: in a guest a bigint for each name would take a part of each exec that can be measured.
  let [low, high] = [0, 0];
  for (const name of names) {
    const number = capabilityNumber(name);
    if (number >= 32) high |= 1 << number - 32;
    else if (number >= 0) low |= 1 << number;
  }
  return BigInt(low >>> 0) | BigInt(high >>> 0) << 32n;
}

/** The names in any of the sets that {@linkcode parseCapabilities} passes over. */
export function unknownCapabilities(capabilities: Capabilities = NONE): string[] {
  const names = new Set(CAPABILITY_SETS.flatMap((set) => capabilities[set] ?? []));
  return [...names].filter((name) => capabilityNumber(name) < 0);
}

const NUMBERS: ReadonlyMap<string, number> = new Map(NAMES.map((name, number) => [name, number]));

/** @returns -1 if there is none of this name. */
function capabilityNumber(name: string): number {
  const known = NUMBERS.get(name);
  if (known !== undefined) return known;
  const upper = name.toUpperCase();
  return NUMBERS.get(upper.startsWith("CAP_") ? upper : `CAP_${upper}`) ?? -1;
}

/** Capabilities of a process without a `capabilities` entry: none, as other runtimes do. */
const NONE: Capabilities = {};

/**
 * The sets that a process starts with.
 *
 * A capability that this program itself lacks cannot be given; asking for it is no error, as a container made for
 * another machine should still run (containerd's `--privileged` asks for all there are).
 *
 * @param available The capabilities that this program has.
 */
export function capabilitySets(capabilities: Capabilities = NONE, available: CapabilitySet): CapabilitySets {
  const parse = (names: readonly string[] | undefined) => parseCapabilities(names ?? []) & available;
  const permitted = parse(capabilities.permitted);
  const inheritable = parse(capabilities.inheritable);
  return {
    bounding: parse(capabilities.bounding),
    effective: parse(capabilities.effective) & permitted,
    inheritable,
    permitted,
    // The kernel refuses an ambient capability that is not both permitted and inheritable.
    ambient: parse(capabilities.ambient) & permitted & inheritable,
  };
}

/** Numbers of the capabilities in a set, ascending. */
export function capabilityNumbers(set: CapabilitySet): number[] {
  if (set === 0n) return [];
  return Array.from({ length: 64 }, (_, number) => number).filter((number) => (set >> BigInt(number)) & 1n);
}

/** Reads one set, such as `CapBnd`, from the text of `/proc/PID/status`. @throws {RangeError} It is not in hexadecimal. */
export function readCapabilitySet(status: string, field: "CapPrm" | "CapBnd"): CapabilitySet {
  const line = status.split("\n").find((one) => one.startsWith(`${field}:`));
  if (line === undefined) return 0n;
  const digits = line.slice(field.length + 1).trim();
  try {
    return BigInt(`0x${digits}`);
  } catch {
    throw new RangeError(`Cannot read ${field} of a process: ${JSON.stringify(digits)} is not hexadecimal`);
  }
}
