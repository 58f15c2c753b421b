/**
 * The steps that load the filter of system calls.
 *
 * @see https://man7.org/linux/man-pages/man2/seccomp.2.html
 * @module
 */
import { LITTLE_ENDIAN } from "../../linux/ffi/libc.ts";
import type { CompiledSeccomp } from "../../linux/security/seccomp.ts";
import { allowsCall } from "../../linux/security/seccomp_answer.ts";
import type { CallOptions } from "../../linux/child_program/call.ts";
import { STAGE2_FLAGS } from "../../linux/child_program/calls.ts";
import type { SyscallProgram } from "../../linux/child_program/program.ts";
import type { Channel } from "./channel.ts";

const SECCOMP_SET_MODE_FILTER = 1;

/** @param program Instructions. */
export function loadFilter(
  steps: SyscallProgram,
  program: Uint8Array<ArrayBuffer>,
  { flags = 0, ...options }: CallOptions & { flags?: number },
): void {
  // struct sock_fprog: a count of instructions and their address.
  const { address, view } = steps.allocate(16);
  view.setUint16(0, program.length / 8, LITTLE_ENDIAN);
  view.setBigUint64(8, BigInt(steps.bytes(program)), LITTLE_ENDIAN);
  steps.call("seccomp", [SECCOMP_SET_MODE_FILTER, flags, address], options);
}

/** Loads a filter that notifies nobody. */
export function loadSeccomp(steps: SyscallProgram, { program, flags }: CompiledSeccomp): void {
  loadFilter(steps, program, { flags, label: LABEL });
}

const LABEL = "load seccomp filter";

/**
 * Loads the filter. If it notifies somebody, waits until the parent has taken the listener.
 *
 * @param options `as`: `heldListener` if the process that appears in the container is still to be forked.
 */
export function addSeccomp(
  steps: SyscallProgram,
  filter: CompiledSeccomp,
  { channel, as = "listener" }: { channel: Channel; as?: "listener" | "heldListener" },
): void {
  if (!filter.notify) return loadSeccomp(steps, filter);
  const offer = channel.offerDescriptor(steps, as);
  loadFilter(steps, filter.program, { flags: filter.flags, label: LABEL, result: offer.number });
  offer.addStop();
  // Or the calls of a container whose agent has gone would wait for ever, as long as we are there.
  steps.close(offer.number);
}

const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_CLEAR_ALL = 4;
/** Arguments with which prctl(2) empties the ambient set. */
export const CLEAR_AMBIENT: readonly number[] = [PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0];

const TIOCSCTTY = 0x540e;
/** Arguments with which ioctl(2) makes a terminal the controlling one of its session; the descriptor comes first. */
export const CONTROLLING_TERMINAL: readonly number[] = [0, TIOCSCTTY, 0];

export interface Appearance {
  hasTerminal: boolean;
}

/**
 * Whether a process that the filter holds for already can give up its rights, appear in the container at the head of its
 * session, and tell of it, without anybody being asked.
 */
export function allowsAppearing({ program }: CompiledSeccomp, { hasTerminal }: Appearance): boolean {
  const calls = [
    { name: "capset" },
    { name: "prctl", args: CLEAR_AMBIENT },
    { name: "close" },
    { name: "clone", args: [STAGE2_FLAGS] },
    { name: "exit_group" },
    { name: "setsid" },
    { name: "write" },
    { name: "read" },
    ...hasTerminal ? [{ name: "ioctl", args: CONTROLLING_TERMINAL } as const] : [],
  ] as const;
  return calls.every((call) => allowsCall(program, call));
}
