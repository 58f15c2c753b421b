/**
 * Steps by which a child gives up rights.
 *
 * @see https://man7.org/linux/man-pages/man7/capabilities.7.html
 * @module
 */
import type { SyscallProgram } from "../child_program/program.ts";

/** Capabilities by number, one bit each. */
export interface RightSets {
  effective: bigint;
  permitted: bigint;
  inheritable: bigint;
}

const NO_RIGHTS: RightSets = { effective: 0n, permitted: 0n, inheritable: 0n };

let last: number | undefined;

/** The number of the kernel's last capability. */
export function lastCapability(): number {
  return last ??= Number(Deno.readTextFileSync("/proc/sys/kernel/cap_last_cap"));
}

/**
 * Takes away what programs that the child executes could gain. Before ids change, as that takes a capability.
 *
 * @param options `kept`: what they may have still. `last` as {@linkcode lastCapability} says.
 */
export function dropBounding(program: SyscallProgram, { kept, last }: { kept: bigint; last: number }): void {
  const PR_CAPBSET_DROP = 24;
  // EPERM: without CAP_SETPCAP the set stays, and everything in it is out of reach anyway.
  const options = { label: "drop capability", ignore: ["EINVAL", "EPERM"] } as const;
  const words = [Number(kept & 0xffff_ffffn), Number(kept >> 32n)] as const;
  for (let number = 0; number <= last; number++) {
    if (words[number >> 5]! >>> (number & 31) & 1) continue;
    program.call("prctl", [PR_CAPBSET_DROP, number, 0, 0, 0], options);
  }
}

export function setCapabilities(program: SyscallProgram, sets: RightSets, label = "set capabilities"): void {
  program.call("capset", [capabilityHeader(), capabilityData(sets)], { label });
}

/** Sets no_new_privs: no program executed from here on gains rights (setuid, file capabilities). */
export function setNoNewPrivileges(program: SyscallProgram): void {
  const PR_SET_NO_NEW_PRIVS = 38;
  program.call("prctl", [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0], { label: "set no_new_privs" });
}

/** Gives up all capabilities, and the way to get any by executing something. */
export function giveUpCapabilities(program: SyscallProgram): void {
  setCapabilities(program, NO_RIGHTS, "give up capabilities");
  setNoNewPrivileges(program);
}

/**
 * Keeps processes without rights over the child out of its memory and descriptors. The child needs root's rights to
 * write below `/proc/self` afterwards.
 */
export function forbidInspection(program: SyscallProgram): void {
  const PR_SET_DUMPABLE = 4;
  program.call("prctl", [PR_SET_DUMPABLE, 0, 0, 0, 0], { label: "prctl PR_SET_DUMPABLE" });
}

/** struct __user_cap_header_struct for the calling process, version 3: 64 bits in two halves. */
function capabilityHeader(): Uint8Array<ArrayBuffer> {
  const LINUX_CAPABILITY_VERSION_3 = 0x20080522;
  return new Uint8Array(Uint32Array.of(LINUX_CAPABILITY_VERSION_3, 0).buffer);
}

/** struct __user_cap_data_struct[2]: effective, permitted, inheritable of the low half, then of the high half. */
export function capabilityData({ effective, permitted, inheritable }: RightSets): Uint8Array<ArrayBuffer> {
  const words = [effective, permitted, inheritable];
  const low = words.map((set) => Number(set & 0xffffffffn));
  const high = words.map((set) => Number(set >> 32n));
  return new Uint8Array(Uint32Array.of(...low, ...high).buffer);
}
