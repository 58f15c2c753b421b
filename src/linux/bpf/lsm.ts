/**
 * Programs at the kernel's own security hooks.
 *
 * @see https://docs.kernel.org/bpf/prog_lsm.html
 * @module
 */
import { isErrno } from "../ffi/errno.ts";
import { Fd } from "../io/fd.ts";
import { bpf, loadProgram } from "./program.ts";

const BPF_PROG_TYPE_LSM = 29;
const BPF_LSM_MAC = 27;

/**
 * Attaches a program to a hook. A hook may be there without being asked: a kernel asks none of a module that its list of
 * security modules (`lsm=`) leaves out.
 *
 * @param hook The hook's number in this kernel.
 * @returns What detaches it; undefined if that is not the number of such a hook, or the program does not fit this kernel.
 * @throws {ErrnoError} EPERM: without CAP_BPF and CAP_PERFMON.
 */
export function attachToHook(program: Uint8Array<ArrayBuffer>, hook: number): Fd | undefined {
  try {
    using loaded = loadProgram(program, {
      type: BPF_PROG_TYPE_LSM,
      attachType: BPF_LSM_MAC,
      attachTo: hook,
      // The kernel takes no other for this type.
      license: "Dual MIT/GPL",
    });
    return new Fd(bpf("LINK_CREATE", Uint32Array.of(loaded.number, 0, BPF_LSM_MAC, 0)));
  } catch (error) {
    if (isErrno(error, "EINVAL", "EACCES", "ENOENT")) return undefined;
    throw error;
  }
}
