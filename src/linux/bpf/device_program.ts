/**
 * Programs that decide which devices a v2 cgroup may use: built from rules (pure), loaded and attached.
 *
 * @see https://docs.kernel.org/admin-guide/cgroup-v2.html#device-controller
 * @see https://man7.org/linux/man-pages/man2/bpf.2.html
 * @module
 */
import { bpf, CODE, encodeProgram, type Instruction, loadProgram } from "./program.ts";
import { isErrno } from "../ffi/errno.ts";
import { Fd, O_DIRECTORY, O_RDONLY } from "../io/fd.ts";
import { addressIn, LITTLE_ENDIAN } from "../ffi/libc.ts";

/** A rule; of several that match, the last one counts, for each kind of access by itself. */
export interface DeviceRule {
  allow: boolean;
  /** `all` is block and char. */
  type: "all" | "block" | "char";
  /** undefined: any. */
  major?: number | undefined;
  minor?: number | undefined;
  /** Letters of `rwm`: read, write, make the node. */
  access: string;
}

const ACCESS_BITS: Readonly<Record<string, number>> = { m: 1, r: 2, w: 4 };
const DEVICE_TYPES = { block: 1, char: 2 } as const;

/** The context comes in r1; the kind of access not yet decided stays in r3. */
const R = { result: 0, context: 1, type: 2, access: 3, major: 4, minor: 5 } as const;

/**
 * Builds a program that answers 1 (allowed) or 0.
 *
 * @param rules What no rule speaks of is denied.
 * @returns `struct bpf_insn[]`
 * @throws {TypeError} Access of other letters than `rwm`.
 */
export function deviceProgram(rules: readonly DeviceRule[]): Uint8Array<ArrayBuffer> {
  const instructions = [
    // struct bpf_cgroup_dev_ctx: u32 access << 16 | type, u32 major, u32 minor.
    { code: CODE.LOAD_U32, destination: R.type, source: R.context, offset: 0 },
    { code: CODE.MOVE_REGISTER, destination: R.access, source: R.type },
    { code: CODE.AND, destination: R.type, immediate: 0xffff },
    { code: CODE.SHIFT_RIGHT, destination: R.access, immediate: 16 },
    { code: CODE.LOAD_U32, destination: R.major, source: R.context, offset: 4 },
    { code: CODE.LOAD_U32, destination: R.minor, source: R.context, offset: 8 },
    // The last rule first, so that what it decides is decided.
    ...rules.toReversed().flatMap(ruleInstructions),
    ...answer(0),
  ];
  return encodeProgram(instructions);
}

function ruleInstructions({ allow, type, major, minor, access }: DeviceRule): Instruction[] {
  const bits = accessBits(access);
  const body: Instruction[] = allow
    ? [
      { code: CODE.AND, destination: R.access, immediate: ~bits },
      { code: CODE.JUMP_IF_NOT_EQUAL, destination: R.access, immediate: 0, offset: 2 },
      ...answer(1),
    ]
    : [
      { code: CODE.JUMP_IF_ANY_BIT, destination: R.access, immediate: bits, offset: 1 },
      { code: CODE.JUMP, offset: 2 },
      ...answer(0),
    ];
  const conditions = [
    ...(type === "all" ? [] : [{ destination: R.type, immediate: DEVICE_TYPES[type] }]),
    ...(major === undefined ? [] : [{ destination: R.major, immediate: major }]),
    ...(minor === undefined ? [] : [{ destination: R.minor, immediate: minor }]),
  ];
  const guards = conditions.map((condition, i) => ({
    code: CODE.JUMP_IF_NOT_EQUAL,
    ...condition,
    offset: conditions.length - 1 - i + body.length,
  }));
  return [...guards, ...body];
}

function accessBits(access: string): number {
  let bits = 0;
  for (const letter of access) {
    const bit = Object.hasOwn(ACCESS_BITS, letter) ? ACCESS_BITS[letter]! : undefined;
    if (bit === undefined) throw new TypeError(`Cannot use device access "${access}": only letters of "rwm"`);
    bits |= bit;
  }
  return bits;
}

function answer(value: 0 | 1): Instruction[] {
  return [{ code: CODE.MOVE, destination: R.result, immediate: value }, { code: CODE.EXIT }];
}

const BPF_PROG_TYPE_CGROUP_DEVICE = 15;
const BPF_CGROUP_DEVICE = 6;
const BPF_F_ALLOW_MULTI = 2;
const MAX_ATTACHED = 64;
/** Bytes of the part of union bpf_attr that a query fills. */
const QUERY_SIZE = 32;

/**
 * Makes `rules` the only ones of this cgroup; those of its ancestors hold as well. At no time is it without rules.
 *
 * @param cgroup Path of a v2 cgroup.
 * @throws {ErrnoError} EPERM without CAP_BPF and CAP_SYS_ADMIN; EINVAL: the kernel has no such programs.
 */
export function setDeviceRules(cgroup: string, rules: readonly DeviceRule[]): void {
  using directory = Fd.open(cgroup, O_RDONLY | O_DIRECTORY);
  using before = new DisposableStack();
  const old = attachedPrograms(directory).map((id) => programById(id)).filter((fd) => fd !== undefined);
  for (const fd of old) before.use(fd);
  using program = loadProgram(deviceProgram(rules), { type: BPF_PROG_TYPE_CGROUP_DEVICE });
  bpf("PROG_ATTACH", Uint32Array.of(directory.number, program.number, BPF_CGROUP_DEVICE, BPF_F_ALLOW_MULTI));
  for (const fd of old) bpf("PROG_DETACH", Uint32Array.of(directory.number, fd.number, BPF_CGROUP_DEVICE, 0));
}

/** Ids of the device programs attached to this cgroup itself. */
function attachedPrograms(cgroup: Fd): number[] {
  // u32 target, attach type, query flags, attach flags; u64 ids; u32 count.
  const whole = new Uint8Array(QUERY_SIZE + 4 * MAX_ATTACHED);
  const view = new DataView(whole.buffer);
  view.setUint32(0, cgroup.number, LITTLE_ENDIAN);
  view.setUint32(4, BPF_CGROUP_DEVICE, LITTLE_ENDIAN);
  view.setBigUint64(16, addressIn(whole, QUERY_SIZE), LITTLE_ENDIAN);
  view.setUint32(24, MAX_ATTACHED, LITTLE_ENDIAN);
  bpf("PROG_QUERY", whole, QUERY_SIZE);
  return [...new Uint32Array(whole.buffer, QUERY_SIZE, view.getUint32(24, LITTLE_ENDIAN))];
}

/** undefined if the program was unloaded meanwhile. */
function programById(id: number): Fd | undefined {
  try {
    return new Fd(bpf("PROG_GET_FD_BY_ID", Uint32Array.of(id, 0, 0)));
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}
