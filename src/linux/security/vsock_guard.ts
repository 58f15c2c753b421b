/**
 * Keeps all processes of a machine from making vsock sockets, except one. A vsock belongs to no namespace: a container in
 * a guest has the host's services in reach, and the agent. A filter of system calls would not do: a socket is also made by
 * io_uring, and by 32-bit programs through memory that no filter sees. This is a hook of the kernel's own, which all of
 * them pass.
 *
 * @see https://docs.kernel.org/bpf/prog_lsm.html
 * @module
 */
import { CODE, encodeProgram, type Instruction } from "../bpf/program.ts";
import { findBtfFunction } from "../bpf/btf.ts";
import { attachToHook } from "../bpf/lsm.ts";
import { ERRNO, isErrno } from "../ffi/errno.ts";
import { Fd } from "../io/fd.ts";
import { bind, check } from "../ffi/libc.ts";

/** Kernel function to which a program for this hook is attached. */
export const SOCKET_CREATE_HOOK = "bpf_lsm_socket_create";

const AF_UNIX = 1;
const AF_VSOCK = 40;
const SOCK_STREAM = 1;
/** Protocol that the program refuses to all, which shows that the hook works. No family has it. */
const PROBE_PROTOCOL = 0x6b617461;
const GET_CURRENT_PID_TGID = 14;

/** The context is an array of 64-bit words: the hook's arguments. */
const ARGUMENT = { family: 0, protocol: 16, kernel: 24 } as const;
const R = { result: 0, context: 1, family: 2, protocol: 3, kernel: 4 } as const;

const libc = bind({
  socket: { parameters: ["i32", /* domain */ "i32", /* type */ "i32" /* protocol */], result: "i32" },
});

/**
 * Builds the program: EAFNOSUPPORT, as on a machine without vsock, for all but the kernel itself and one process.
 *
 * @param pid In the machine's first pid namespace. @returns `struct bpf_insn[]`
 */
export function vsockGuardProgram(pid: number): Uint8Array<ArrayBuffer> {
  const rules: Instruction[] = [
    { code: CODE.LOAD_U64, destination: R.family, source: R.context, offset: ARGUMENT.family },
    { code: CODE.LOAD_U64, destination: R.protocol, source: R.context, offset: ARGUMENT.protocol },
    { code: CODE.LOAD_U64, destination: R.kernel, source: R.context, offset: ARGUMENT.kernel },
    { code: CODE.JUMP_IF_EQUAL_32, destination: R.protocol, immediate: PROBE_PROTOCOL, offset: 5 },
    { code: CODE.JUMP_IF_NOT_EQUAL_32, destination: R.family, immediate: AF_VSOCK, offset: 6 },
    { code: CODE.JUMP_IF_NOT_EQUAL_32, destination: R.kernel, immediate: 0, offset: 5 },
    { code: CODE.CALL, immediate: GET_CURRENT_PID_TGID },
    { code: CODE.SHIFT_RIGHT, destination: R.result, immediate: 32 },
    { code: CODE.JUMP_IF_EQUAL, destination: R.result, immediate: pid, offset: 2 },
  ];
  return encodeProgram([...rules, ...answer(-ERRNO.EAFNOSUPPORT), ...answer(0)]);
}

function answer(value: number): Instruction[] {
  return [{ code: CODE.MOVE, destination: R.result, immediate: value }, { code: CODE.EXIT }];
}

export interface VsockGuardOptions {
  /** The one process that may go on. */
  pid: number;
  /** The hook's number in this kernel, where somebody has looked it up before. */
  hook?: number | undefined;
}

/**
 * Refuses vsock sockets from now on, until disposed or the end of this process. Sockets that exist already stay.
 *
 * @throws {Error} This kernel has no such hook, or does not ask it.
 */
export function guardVsock({ pid, hook }: VsockGuardOptions): Disposable {
  const attached = hook === undefined ? undefined : attach(pid, hook);
  const guard = attached ?? attach(pid, lookUpHook());
  if (guard !== undefined) return guard;
  throw new Error(`Cannot keep containers from vsock: the kernel does not ask ${SOCKET_CREATE_HOOK}`);
}

/** @returns undefined if that is not the number of the hook here, or nobody asks it. */
function attach(pid: number, hook: number): Disposable | undefined {
  const link = attachToHook(vsockGuardProgram(pid), hook);
  if (link === undefined) return undefined;
  using undo = new DisposableStack();
  undo.use(link);
  return isAsked() ? undo.move() : undefined;
}

function isAsked(): boolean {
  try {
    new Fd(check("socket", () => libc.socket(AF_UNIX, SOCK_STREAM, PROBE_PROTOCOL)))[Symbol.dispose]();
    return false;
  } catch (error) {
    if (isErrno(error, "EAFNOSUPPORT")) return true;
    if (isErrno(error, "EPROTONOSUPPORT")) return false; // what the family itself says
    throw error;
  }
}

function lookUpHook(): number {
  const found = findBtfFunction(Deno.readFileSync("/sys/kernel/btf/vmlinux"), SOCKET_CREATE_HOOK);
  if (found !== undefined) return found;
  throw new Error(`Cannot keep containers from vsock: the kernel has no ${SOCKET_CREATE_HOOK}`);
}
