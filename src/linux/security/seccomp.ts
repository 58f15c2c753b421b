/**
 * From a seccomp profile to the BPF program that seccomp(2) loads, by way of libseccomp. The library is loaded
 * by the first compilation, so that nothing needs it but containers with a profile.
 *
 * @see https://man7.org/linux/man-pages/man2/seccomp.2.html
 * @see https://man7.org/linux/man-pages/man3/seccomp_rule_add.3.html
 * @module
 */
import { quoted } from "../../base/text.ts";
import { ERRNO, ErrnoError } from "../ffi/errno.ts";
import { memfd, pathOf } from "../io/fd.ts";
import { bindLibrary, cstring, LITTLE_ENDIAN } from "../ffi/libc.ts";
import { denies, refuseNewer } from "./seccomp_newer.ts";
import {
  actionValue,
  architectureName,
  filterFlags,
  operatorValue,
  type SeccompArgument,
  type SeccompProfile,
  type SeccompRule,
  usesNotify,
} from "./seccomp_profile.ts";

const LIBRARY = "libseccomp.so.2";

const lib = bindLibrary(LIBRARY, {
  seccomp_init: { parameters: ["u32" /* def_action */], result: "pointer" },
  seccomp_release: { parameters: ["pointer" /* ctx */], result: "void" },
  seccomp_arch_resolve_name: { parameters: ["buffer" /* arch_name */], result: "u32" },
  seccomp_arch_add: { parameters: ["pointer", /* ctx */ "u32" /* arch_token */], result: "i32" },
  seccomp_arch_native: { parameters: [], result: "u32" },
  seccomp_syscall_resolve_name_arch: { parameters: ["u32", /* arch_token */ "buffer" /* name */], result: "i32" },
  seccomp_syscall_resolve_name: { parameters: ["buffer" /* name */], result: "i32" },
  seccomp_rule_add_array: {
    parameters: ["pointer", /* ctx */ "u32", /* action */ "i32", /* syscall */ "u32", /* arg_cnt */ "buffer"],
    result: "i32",
  },
  seccomp_export_bpf: { parameters: ["pointer", /* ctx */ "i32" /* fd */], result: "i32" },
});

/** A filter ready to load: `seccomp(SECCOMP_SET_MODE_FILTER, flags, { length, program })`. */
export interface CompiledSeccomp {
  /** `struct sock_filter[]`, 8 bytes an instruction, in the byte order of this machine. Others share it: do not write. */
  readonly program: Uint8Array<ArrayBuffer>;
  /** Flags of seccomp(2). */
  readonly flags: number;
  /** The load returns a descriptor that must be sent to the profile's `listenerPath`. */
  readonly notify: boolean;
}

/** Whether profiles can be compiled here. */
export function hasSeccompLibrary(): boolean {
  try {
    return lib.seccomp_arch_resolve_name !== undefined;
  } catch {
    return false;
  }
}

/**
 * Compiles a profile for this machine's architecture and those it names. System calls that this libseccomp does not
 * know are left out, as the kernel will not have them either.
 *
 * @throws {Error} libseccomp is missing.
 * @throws {TypeError} The profile uses a word that is unknown, or cannot be obeyed.
 * @throws {ErrnoError} libseccomp refuses a rule.
 */
export function compileSeccomp(profile: SeccompProfile): CompiledSeccomp {
  const key = JSON.stringify(profile, (_, value) => typeof value === "bigint" ? `${value}n` : value);
  const known = compiled.get(key);
  if (known !== undefined) return known;
  const result = compile(profile);
  if (compiled.size >= MAX_KEPT) compiled.delete(compiled.keys().next().value!);
  compiled.set(key, result);
  return result;
}

/** Containers and their execs share a profile, and its compilation takes 0.2 s in an emulated guest. */
const compiled = new Map<string, CompiledSeccomp>();
const MAX_KEPT = 8;

function compile(profile: SeccompProfile): CompiledSeccomp {
  if (profile.defaultAction === "SCMP_ACT_NOTIFY") {
    throw new TypeError('Cannot use "SCMP_ACT_NOTIFY" as the default: whoever listens needs system calls as well');
  }
  if (!hasSeccompLibrary()) throw new Error(`Cannot compile a seccomp profile without "${LIBRARY}"`);
  const defaultValue = actionValue(profile.defaultAction, profile.defaultErrnoRet);
  using filter = newFilter(defaultValue);
  // The machine's own is there from the start.
  const tokens = new Set([lib.seccomp_arch_native()]);
  for (const name of profile.architectures ?? []) tokens.add(addArchitecture(filter.context, name));
  for (const rule of profile.syscalls ?? []) {
    if (rule.names === undefined) throw new TypeError("Cannot use a seccomp rule that names no system calls");
    const value = actionValue(rule.action, rule.errnoRet);
    // libseccomp refuses a rule that says what the default says.
    if (value !== defaultValue) addRule(filter.context, { ...rule, value });
  }
  const newer = denies(profile) ? refuseNewer(newestCalls(profile, tokens)) : new Uint8Array();
  const exported = exportProgram(filter.context);
  const program = new Uint8Array(newer.length + exported.length);
  program.set(newer);
  program.set(exported, newer.length);
  return { program, flags: filterFlags(profile), notify: usesNotify(profile) };
}

/** The highest number that a profile names of each architecture. */
function newestCalls({ syscalls = [] }: SeccompProfile, tokens: ReadonlySet<number>): Map<number, number> {
  const names = new Set(syscalls.flatMap((rule) => rule.names));
  const newest = new Map<number, number>();
  for (const name of names) {
    const spelled = cstring(name);
    for (const token of tokens) {
      // Below 0 are calls that the architecture does not have.
      const number = lib.seccomp_syscall_resolve_name_arch(token, spelled);
      if (number > (newest.get(token) ?? 0)) newest.set(token, number);
    }
  }
  return newest;
}

function newFilter(defaultValue: number): Disposable & { context: Deno.PointerObject } {
  const context = lib.seccomp_init(defaultValue);
  if (context === null) throw new Error(`Cannot start a seccomp filter with default action ${defaultValue}`);
  return { context, [Symbol.dispose]: () => lib.seccomp_release(context) };
}

/** @returns Its number. */
function addArchitecture(context: Deno.PointerObject, name: string): number {
  const token = lib.seccomp_arch_resolve_name(cstring(architectureName(name)));
  if (token === 0) throw new TypeError(`Cannot use architecture ${quoted(name)}: this libseccomp does not know it`);
  const result = lib.seccomp_arch_add(context, token);
  if (result < 0 && result !== -ERRNO.EEXIST) throw new ErrnoError("seccomp_arch_add", -result, name);
  return token;
}

/** `__NR_SCMP_ERROR`. */
const NO_SUCH_SYSCALL = -1;

function addRule(context: Deno.PointerObject, rule: SeccompRule & { value: number }): void {
  const conditions = (rule.args ?? []).map(encodeCondition);
  for (const name of rule.names) {
    if (rule.action === "SCMP_ACT_NOTIFY" && name === "write") {
      throw new TypeError('Cannot use "SCMP_ACT_NOTIFY" for write: the listener could not be told');
    }
    const number = lib.seccomp_syscall_resolve_name(cstring(name));
    if (number === NO_SUCH_SYSCALL) continue;
    for (const group of groupConditions(rule.args ?? [], conditions)) {
      const count = group.length / CONDITION_SIZE;
      const result = lib.seccomp_rule_add_array(context, rule.value, number, count, group);
      if (result < 0) throw new ErrnoError("seccomp_rule_add", -result, `${rule.action} ${name}`);
    }
  }
}

/** `struct scmp_arg_cmp`: u32 arg, u32 op, u64 datum_a, u64 datum_b. */
const CONDITION_SIZE = 24;

function encodeCondition(argument: SeccompArgument): Uint8Array<ArrayBuffer> {
  if (!(argument.index >= 0 && argument.index <= 5)) {
    throw new RangeError(`Cannot compare argument ${argument.index} of a system call: there are six`);
  }
  if (argument.value === undefined) {
    throw new TypeError(`Cannot compare argument ${argument.index} of a system call: the profile has no value for it`);
  }
  const bytes = new Uint8Array(CONDITION_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, argument.index, LITTLE_ENDIAN);
  view.setUint32(4, operatorValue(argument.op), LITTLE_ENDIAN);
  view.setBigUint64(8, BigInt(argument.value), LITTLE_ENDIAN);
  view.setBigUint64(16, BigInt(argument.valueTwo ?? 0), LITTLE_ENDIAN);
  return bytes;
}

/** All conditions of a rule must hold; but libseccomp takes one per argument, so two on one become alternatives. */
function groupConditions(
  args: readonly SeccompArgument[],
  conditions: Uint8Array<ArrayBuffer>[],
): Uint8Array<ArrayBuffer>[] {
  const isDistinct = new Set(args.map(({ index }) => index)).size === args.length;
  if (!isDistinct) return conditions;
  const all = new Uint8Array(conditions.length * CONDITION_SIZE);
  conditions.forEach((condition, i) => all.set(condition, i * CONDITION_SIZE));
  return [all];
}

function exportProgram(context: Deno.PointerObject): Uint8Array<ArrayBuffer> {
  using file = memfd("seccomp");
  const result = lib.seccomp_export_bpf(context, file.number);
  if (result < 0) throw new ErrnoError("seccomp_export_bpf", -result);
  return Deno.readFileSync(pathOf(file));
}
