/**
 * Keeps processes without privileges from making the kernel load its modules. By itself the kernel loads what anybody names:
 * a family of sockets, a kind of diagnosis, and for whoever makes a user namespace nearly all that its root may name. This
 * is the kernel's own hook, asked in the name of whoever caused it.
 *
 * @see https://docs.kernel.org/bpf/prog_lsm.html
 * @module
 */
import { findBtfFunction, findBtfMember } from "../bpf/btf.ts";
import { attachToHook } from "../bpf/lsm.ts";
import { CODE, encodeProgram, type Instruction } from "../bpf/program.ts";
import { ERRNO } from "../ffi/errno.ts";

/** Kernel function to which a program for this hook is attached. */
export const MODULE_REQUEST_HOOK = "bpf_lsm_kernel_module_request";

/** `struct task_struct *`, which the verifier follows member by member. */
const GET_CURRENT_TASK = 158;
/** Any of them in the first user namespace: CAP_NET_ADMIN, CAP_SYS_MODULE, CAP_SYS_ADMIN. */
const ENOUGH = (1 << 12) | (1 << 16) | (1 << 21);
const R = { result: 0, credentials: 1, namespace: 2, value: 3 } as const;

/** Where the program finds what it asks for in one kernel: its hook's number, and offsets in bytes. */
export interface ModuleGuardPlaces {
  hook: number;
  /** Of `cred` in `struct task_struct`. */
  credentials: number;
  /** Of `cap_effective` and `user_ns` in `struct cred`. */
  capabilities: number;
  namespace: number;
  /** Of `level` in `struct user_namespace`: 0 is the first one. */
  level: number;
}

/** Looks the places up. @param btf `/sys/kernel/btf/vmlinux`. @returns undefined for a kernel without the hook. */
export function findModuleGuardPlaces(btf: Uint8Array<ArrayBuffer>): ModuleGuardPlaces | undefined {
  const places = {
    hook: findBtfFunction(btf, MODULE_REQUEST_HOOK),
    credentials: findBtfMember(btf, "task_struct", "cred"),
    capabilities: findBtfMember(btf, "cred", "cap_effective"),
    namespace: findBtfMember(btf, "cred", "user_ns"),
    level: findBtfMember(btf, "user_namespace", "level"),
  };
  return Object.values(places).includes(undefined) ? undefined : places as ModuleGuardPlaces;
}

/** Builds the program: EPERM unless the process has enough. @returns `struct bpf_insn[]` */
export function moduleGuardProgram(places: Omit<ModuleGuardPlaces, "hook">): Uint8Array<ArrayBuffer> {
  const { result, credentials, namespace, value } = R;
  const load = (destination: number, source: number, offset: number): Instruction => {
    return { code: CODE.LOAD_U64, destination, source, offset };
  };
  return encodeProgram([
    { code: CODE.CALL, immediate: GET_CURRENT_TASK },
    load(credentials, result, places.credentials),
    load(namespace, credentials, places.namespace),
    { code: CODE.LOAD_U32, destination: value, source: namespace, offset: places.level },
    { code: CODE.JUMP_IF_NOT_EQUAL, destination: value, immediate: 0, offset: 2 },
    // The lower half: the capabilities that are looked for are all in it.
    { code: CODE.LOAD_U32, destination: value, source: credentials, offset: places.capabilities },
    { code: CODE.JUMP_IF_ANY_BIT, destination: value, immediate: ENOUGH, offset: 2 },
    { code: CODE.MOVE, destination: result, immediate: -ERRNO.EPERM },
    { code: CODE.EXIT },
    { code: CODE.MOVE, destination: result, immediate: 0 },
    { code: CODE.EXIT },
  ]);
}

/**
 * Refuses what is asked of the kernel without privileges from now on, until disposed or the end of this process. Whether
 * this kernel asks its hooks at all is up to the caller to know.
 *
 * @param known The places, where somebody has looked them up before.
 * @throws {Error} This kernel has no such hook.
 */
export function guardModules(known: ModuleGuardPlaces | undefined): Disposable {
  const attached = known && attach(known);
  if (attached !== undefined) return attached;
  const found = findModuleGuardPlaces(Deno.readFileSync("/sys/kernel/btf/vmlinux"));
  const guard = found && attach(found);
  if (guard !== undefined) return guard;
  throw new Error(`Cannot guard the kernel's modules: the kernel has no ${MODULE_REQUEST_HOOK}`);
}

function attach({ hook, ...places }: ModuleGuardPlaces): Disposable | undefined {
  return attachToHook(moduleGuardProgram(places), hook);
}
