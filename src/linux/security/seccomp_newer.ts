/**
 * System calls that are newer than a filter's profile: it says that there are none, as an older kernel would. C
 * libraries try the newest call and fall back on an older one only if it is missing (ENOSYS), not if it is denied.
 *
 * Newer is what has a higher number than any that the profile names. Calls between those that it leaves out are denied.
 *
 * @module
 */
import { ERRNO } from "../ffi/errno.ts";
import { encodeFilter, FILTER_CODE, FILTER_DATA, type Instruction } from "./filter_code.ts";
import type { SeccompProfile } from "./seccomp_profile.ts";

/** Architectures whose calls a profile is about, as libseccomp numbers them, which is as the kernel does but for x32. */
const TOKEN = { x86_64: 0xc000003e, x32: 0x4000003e } as const;
/** Of the numbers of x32, which has the architecture of x86-64. */
const X32_BIT = 0x40000000;

const { load, jump, equal, above, atLeast, end } = FILTER_CODE;
const SECCOMP_RET_ERRNO = 0x00050000;

/** Defaults that let pass, note down or trace: that is so for newer calls as well. */
const PERMISSIVE = ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"];

/** Whether a profile's default is to be held to what was known when it was written. */
export function denies({ defaultAction, defaultErrnoRet }: SeccompProfile): boolean {
  return !PERMISSIVE.includes(defaultAction) && defaultErrnoRet !== ERRNO.ENOSYS;
}

/**
 * Instructions to put before a filter.
 *
 * @param newest The highest number that the profile names, by architecture; those that it names none of are left out.
 */
export function refuseNewer(newest: ReadonlyMap<number, number>): Uint8Array<ArrayBuffer> {
  const blocks = [...newest].filter(([token]) => token !== TOKEN.x32).map(([token, last]) => {
    if (token !== TOKEN.x86_64) return { token, block: refuseAbove(last) };
    const x32 = newest.get(TOKEN.x32);
    const ofX32 = x32 === undefined ? [] : refuseAbove(x32);
    return { token, block: [{ code: atLeast, value: X32_BIT, then: 2 }, ...refuseAbove(last), ...ofX32] };
  });
  // From the last to the first, as each jumps over those that come after it.
  let after: Instruction[] = [];
  for (const { token, block } of blocks.toReversed()) {
    const whole = [{ code: load, value: FILTER_DATA.number }, ...block, { code: jump, value: after.length }];
    after = [{ code: equal, value: token, otherwise: whole.length }, ...whole, ...after];
  }
  return encodeFilter(after.length === 0 ? [] : [{ code: load, value: FILTER_DATA.architecture }, ...after]);
}

function refuseAbove(last: number): Instruction[] {
  return [
    { code: above, value: last, otherwise: 1 },
    { code: end, value: SECCOMP_RET_ERRNO | ERRNO.ENOSYS },
  ];
}
