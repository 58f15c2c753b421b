/**
 * The words of an OCI seccomp profile and their numbers in the kernel and in libseccomp. Pure.
 *
 * @see https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#seccomp
 * @module
 */

/** `linux.seccomp` of the runtime spec. */
export interface SeccompProfile {
  defaultAction: string;
  defaultErrnoRet?: number;
  architectures?: readonly string[];
  flags?: readonly string[];
  listenerPath?: string;
  listenerMetadata?: string;
  syscalls?: readonly SeccompRule[];
}

/** Action for some system calls. */
export interface SeccompRule {
  names: readonly string[];
  action: string;
  errnoRet?: number;
  args?: readonly SeccompArgument[];
}

/** A condition on an argument; all of a rule must hold. */
export interface SeccompArgument {
  /** Number of the argument, 0 to 5. */
  index: number;
  /** Unsigned 64 bit; numbers above 2^53 come as bigint. The profile may lack it, which is refused. */
  value?: number | bigint | undefined;
  valueTwo?: number | bigint;
  op: string;
}

const EPERM = 1;

/** `SECCOMP_RET_*` of each action; `data` marks those that carry an errno. */
const ACTIONS: Readonly<Record<string, { value: number; data?: "errno" }>> = {
  SCMP_ACT_KILL: { value: 0x00000000 },
  SCMP_ACT_KILL_THREAD: { value: 0x00000000 },
  SCMP_ACT_KILL_PROCESS: { value: 0x80000000 },
  SCMP_ACT_TRAP: { value: 0x00030000 },
  SCMP_ACT_ERRNO: { value: 0x00050000, data: "errno" },
  SCMP_ACT_NOTIFY: { value: 0x7fc00000 },
  SCMP_ACT_TRACE: { value: 0x7ff00000, data: "errno" },
  SCMP_ACT_LOG: { value: 0x7ffc0000 },
  SCMP_ACT_ALLOW: { value: 0x7fff0000 },
};

/** `enum scmp_compare`. */
const OPERATORS: Readonly<Record<string, number>> = {
  SCMP_CMP_NE: 1,
  SCMP_CMP_LT: 2,
  SCMP_CMP_LE: 3,
  SCMP_CMP_EQ: 4,
  SCMP_CMP_GE: 5,
  SCMP_CMP_GT: 6,
  SCMP_CMP_MASKED_EQ: 7,
};

/** Flags of seccomp(2) `SECCOMP_SET_MODE_FILTER`. */
const FLAGS: Readonly<Record<string, number>> = {
  SECCOMP_FILTER_FLAG_TSYNC: 1 << 0,
  SECCOMP_FILTER_FLAG_LOG: 1 << 1,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: 1 << 2,
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: 1 << 5,
};

/** Makes seccomp(2) return a descriptor on which `SCMP_ACT_NOTIFY` calls are answered. */
export const SECCOMP_FILTER_FLAG_NEW_LISTENER = 1 << 3;
/** Without it, `TSYNC` reports a failing thread by its id, which a listener's descriptor would collide with. */
const SECCOMP_FILTER_FLAG_TSYNC_ESRCH = 1 << 4;

/** Architectures that the specification allows; libseccomp may know fewer, and names them in lower case. */
const ARCHITECTURES = [
  "AARCH64",
  "ARM",
  "LOONGARCH64",
  "M68K",
  "MIPS",
  "MIPS64",
  "MIPS64N32",
  "MIPSEL",
  "MIPSEL64",
  "MIPSEL64N32",
  "PARISC",
  "PARISC64",
  "PPC",
  "PPC64",
  "PPC64LE",
  "RISCV64",
  "S390",
  "S390X",
  "SH",
  "SHEB",
  "X32",
  "X86",
  "X86_64",
].map((name) => `SCMP_ARCH_${name}`);

/** For `features`: every word that a profile may use. */
export const SECCOMP_WORDS = {
  actions: Object.keys(ACTIONS),
  operators: Object.keys(OPERATORS),
  flags: Object.keys(FLAGS),
  architectures: ARCHITECTURES,
} as const;

/**
 * The filter's return value for an action.
 *
 * @param errnoRet For `SCMP_ACT_ERRNO` and `SCMP_ACT_TRACE`; EPERM if undefined.
 * @throws {TypeError} The action is unknown, or does not take an errno.
 */
export function actionValue(action: string, errnoRet?: number): number {
  const row = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
  if (row === undefined) throw new TypeError(`Cannot use seccomp action "${action}"`);
  if (row.data === undefined) {
    if (errnoRet) throw new TypeError(`Cannot use errno ${errnoRet} with seccomp action "${action}"`);
    return row.value;
  }
  return row.value + ((errnoRet ?? EPERM) & 0xffff);
}

/** libseccomp's number of a comparison. */
export function operatorValue(operator: string): number {
  const value = Object.hasOwn(OPERATORS, operator) ? OPERATORS[operator] : undefined;
  if (value === undefined) throw new TypeError(`Cannot use seccomp operator "${operator}"`);
  return value;
}

/** libseccomp's name of an architecture. */
export function architectureName(architecture: string): string {
  if (!ARCHITECTURES.includes(architecture)) throw new TypeError(`Cannot use architecture "${architecture}"`);
  return architecture.slice("SCMP_ARCH_".length).toLowerCase();
}

/** Whether some call is to be answered by a process that listens. */
export function usesNotify(profile: SeccompProfile): boolean {
  return (profile.syscalls ?? []).some(({ action }) => action === "SCMP_ACT_NOTIFY");
}

/** Flags for seccomp(2): those of the profile, and what a listener needs. */
export function filterFlags(profile: SeccompProfile): number {
  let flags = 0;
  for (const name of profile.flags ?? []) {
    const flag = Object.hasOwn(FLAGS, name) ? FLAGS[name] : undefined;
    if (flag === undefined) throw new TypeError(`Cannot use seccomp flag "${name}"`);
    flags |= flag;
  }
  if (!usesNotify(profile)) return flags;
  flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
  return flags & FLAGS["SECCOMP_FILTER_FLAG_TSYNC"]! ? flags | SECCOMP_FILTER_FLAG_TSYNC_ESRCH : flags;
}
