/** Scheduling, I/O priority and personality of a process, as system calls take them. @module */
import { cpusOf, MAX_CPUS, parseCpuList } from "../../base/cpu_list.ts";
import { KataError } from "../../base/error.ts";
import { LITTLE_ENDIAN } from "../../linux/ffi/libc.ts";
import type { IoPriority, Personality, Scheduler } from "../spec/spec.ts";

const POLICIES: Readonly<Record<string, number>> = {
  SCHED_OTHER: 0,
  SCHED_FIFO: 1,
  SCHED_RR: 2,
  SCHED_BATCH: 3,
  SCHED_ISO: 4,
  SCHED_IDLE: 5,
  SCHED_DEADLINE: 6,
};

const FLAGS: Readonly<Record<string, bigint>> = {
  SCHED_FLAG_RESET_ON_FORK: 0x01n,
  SCHED_FLAG_RECLAIM: 0x02n,
  SCHED_FLAG_DL_OVERRUN: 0x04n,
  SCHED_FLAG_KEEP_POLICY: 0x08n,
  SCHED_FLAG_KEEP_PARAMS: 0x10n,
  SCHED_FLAG_UTIL_CLAMP_MIN: 0x20n,
  SCHED_FLAG_UTIL_CLAMP_MAX: 0x40n,
};

const ATTR_SIZE = 48;

/** struct sched_attr. @see https://man7.org/linux/man-pages/man2/sched_setattr.2.html */
export function schedulerAttributes(scheduler: Scheduler): Uint8Array<ArrayBuffer> {
  const { policy, nice = 0, priority = 0, flags = [], runtime = 0, deadline = 0, period = 0 } = scheduler;
  const view = new DataView(new ArrayBuffer(ATTR_SIZE));
  view.setUint32(0, ATTR_SIZE, LITTLE_ENDIAN);
  view.setUint32(4, lookUp(POLICIES, policy, "scheduling policy"), LITTLE_ENDIAN);
  view.setBigUint64(8, flags.reduce((sum, flag) => sum | lookUp(FLAGS, flag, "scheduling flag"), 0n), LITTLE_ENDIAN);
  view.setInt32(16, nice, LITTLE_ENDIAN);
  view.setUint32(20, priority, LITTLE_ENDIAN);
  [runtime, deadline, period].forEach((value, index) =>
    view.setBigUint64(24 + 8 * index, BigInt(value), LITTLE_ENDIAN)
  );
  return new Uint8Array(view.buffer);
}

const IO_CLASSES: Readonly<Record<string, number>> = {
  IOPRIO_CLASS_RT: 1,
  IOPRIO_CLASS_BE: 2,
  IOPRIO_CLASS_IDLE: 3,
};

/** The value of ioprio_set(2). */
export function ioPriorityValue({ class: name, priority }: IoPriority): number {
  return (lookUp(IO_CLASSES, name, "I/O class") << 13) | priority;
}

/**
 * The numbers of a list such as `0-3,7`.
 *
 * @throws {KataError} INVALID_ARGUMENT: it is no list of processors.
 */
export function cpuNumbers(list: string): number[] {
  const cpus = cpusOf(parseCpuList(list));
  if (cpus.length === 0) throw new KataError("INVALID_ARGUMENT", `Cannot use "${list}" as a list of processors`);
  return cpus;
}

/** Converts a list of CPUs to the mask of sched_setaffinity(2). @throws {KataError} INVALID_ARGUMENT. */
export function cpuMask(list: string): Uint8Array<ArrayBuffer> {
  const mask = new Uint8Array(MAX_CPUS / 8);
  for (const cpu of cpuNumbers(list)) mask[cpu >> 3]! |= 1 << (cpu & 7);
  return mask;
}

const PERSONALITIES: Readonly<Record<string, number>> = { LINUX: 0, LINUX32: 8 };

/** The value of personality(2). */
export function personalityValue({ domain, flags = [] }: Personality): number {
  if (flags.length > 0) {
    throw new KataError("INVALID_ARGUMENT", `Cannot use personality flags "${flags.join(" ")}": there are none yet`);
  }
  return lookUp(PERSONALITIES, domain, "personality");
}

function lookUp<T>(table: Readonly<Record<string, T>>, name: string, what: string): T {
  const value = Object.hasOwn(table, name) ? table[name] : undefined;
  if (value !== undefined) return value;
  throw new KataError("INVALID_ARGUMENT", `Cannot use ${what} "${name}": known are ${Object.keys(table).join(", ")}`);
}
