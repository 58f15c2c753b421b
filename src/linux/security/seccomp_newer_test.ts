import assert from "node:assert/strict";
import { LITTLE_ENDIAN } from "../ffi/libc.ts";
import { FILTER_CODE, FILTER_DATA } from "./filter_code.ts";
import { denies, refuseNewer } from "./seccomp_newer.ts";

const [X86_64, X86, X32, AARCH64] = [0xc000003e, 0x40000003, 0x4000003e, 0xc00000b7];
const X32_BIT = 0x40000000;

/** Walks a filter. @returns Its answer, or "filter" where it gives none, as what comes after it would. */
function answer(
  program: Uint8Array<ArrayBuffer>,
  { arch, number }: { arch: number; number: number },
): number | "filter" {
  const code = new DataView(program.buffer);
  const word = (offset: number) => ({ [FILTER_DATA.number]: number, [FILTER_DATA.architecture]: arch })[offset]!;
  let value = 0;
  for (let at = 0; at < code.byteLength;) {
    const [operation, immediate] = [code.getUint16(at, LITTLE_ENDIAN), code.getUint32(at + 4, LITTLE_ENDIAN)];
    const jump = (holds: boolean) => 8 * code.getUint8(at + (holds ? 2 : 3));
    let skip = 0;
    if (operation === FILTER_CODE.end) return immediate;
    if (operation === FILTER_CODE.load) value = word(immediate);
    if (operation === FILTER_CODE.jump) skip = 8 * immediate;
    if (operation === FILTER_CODE.equal) skip = jump(value === immediate);
    if (operation === FILTER_CODE.above) skip = jump(value > immediate);
    if (operation === FILTER_CODE.atLeast) skip = jump(value >= immediate);
    at += 8 + skip;
  }
  return "filter";
}

const ENOSYS = 0x00050026;
const BOTH = new Map([[X86_64, 440], [X86, 441], [AARCH64, 442], [X32, X32_BIT + 443]]);

Deno.test.each([
  { arch: X86_64, number: 440, newest: BOTH, is: "filter" },
  { arch: X86_64, number: 441, newest: BOTH, is: ENOSYS },
  { arch: X86, number: 441, newest: BOTH, is: "filter" },
  { arch: X86, number: 442, newest: BOTH, is: ENOSYS },
  { arch: AARCH64, number: 442, newest: BOTH, is: "filter" },
  { arch: AARCH64, number: 443, newest: BOTH, is: ENOSYS },
  { arch: X86_64, number: X32_BIT + 443, newest: BOTH, is: "filter" },
  { arch: X86_64, number: X32_BIT + 444, newest: BOTH, is: ENOSYS },
  { arch: 0x28, number: 500, newest: BOTH, is: "filter" },
  // An x32 call in a profile without x32 is the filter's to refuse.
  { arch: X86_64, number: X32_BIT + 500, newest: new Map([[X86_64, 440]]), is: "filter" },
  { arch: X86_64, number: 500, newest: new Map([[X86_64, 440]]), is: ENOSYS },
  { arch: X86_64, number: 500, newest: new Map(), is: "filter" },
])("runk 02: refuseNewer() says $is of call $number of architecture $arch", ({ arch, number, newest, is }) => {
  assert.equal(answer(refuseNewer(newest), { arch, number }), is);
});

Deno.test("runk 02: denies() is so of what kills and refuses, unless it says ENOSYS already", () => {
  const actions = ["KILL", "KILL_PROCESS", "TRAP", "ERRNO", "ALLOW", "LOG", "TRACE"];
  const denied = actions.filter((action) => denies({ defaultAction: `SCMP_ACT_${action}` }));
  assert.deepEqual(denied, ["KILL", "KILL_PROCESS", "TRAP", "ERRNO"]);
  assert.ok(!denies({ defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 38 }));
});
