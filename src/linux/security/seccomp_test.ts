import assert from "node:assert/strict";
import { LITTLE_ENDIAN } from "../ffi/libc.ts";
import { compileSeccomp, hasSeccompLibrary } from "./seccomp.ts";
import {
  actionValue,
  architectureName,
  filterFlags,
  operatorValue,
  SECCOMP_WORDS,
  type SeccompProfile,
} from "./seccomp_profile.ts";
import { leftOut } from "../../base/testing/left_out.ts";

const ignore = leftOut(import.meta, !hasSeccompLibrary() && "libseccomp is not installed");

Deno.test.each([
  { action: "SCMP_ACT_ALLOW", value: 0x7fff0000 },
  { action: "SCMP_ACT_KILL_PROCESS", value: 0x80000000 },
  { action: "SCMP_ACT_ERRNO", value: 0x00050001 },
  { action: "SCMP_ACT_ERRNO", errnoRet: 38, value: 0x00050026 },
  { action: "SCMP_ACT_TRACE", errnoRet: 5, value: 0x7ff00005 },
])("actionValue($action, $errnoRet) is $value", ({ action, errnoRet, value }) => {
  assert.equal(actionValue(action, errnoRet), value);
});

Deno.test("actionValue() refuses what it does not know, and an errno where none is sent", () => {
  assert.throws(() => actionValue("toString"), { message: 'Cannot use seccomp action "toString"' });
  assert.throws(() => actionValue("SCMP_ACT_ALLOW", 1), TypeError);
});

Deno.test("every word for features is understood", () => {
  for (const action of SECCOMP_WORDS.actions) actionValue(action);
  for (const operator of SECCOMP_WORDS.operators) operatorValue(operator);
  for (const architecture of SECCOMP_WORDS.architectures) architectureName(architecture);
  filterFlags({ defaultAction: "SCMP_ACT_ALLOW", flags: SECCOMP_WORDS.flags });
  assert.throws(() => operatorValue("SCMP_CMP_XX"), TypeError);
  assert.throws(() => architectureName("SCMP_ARCH_VAX"), TypeError);
});

Deno.test("filterFlags() asks for a listener only if an action notifies", () => {
  const base = { defaultAction: "SCMP_ACT_ALLOW", flags: ["SECCOMP_FILTER_FLAG_LOG"] };
  assert.equal(filterFlags(base), 2);
  assert.equal(filterFlags({ ...base, syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_NOTIFY" }] }), 2 | 8);
  assert.throws(() => filterFlags({ ...base, flags: ["LOG"] }), { message: 'Cannot use seccomp flag "LOG"' });
});

const DENY_MKDIR: SeccompProfile = {
  defaultAction: "SCMP_ACT_ALLOW",
  architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_AARCH64"],
  syscalls: [
    { names: ["mkdir", "mkdirat", "no_such_call"], action: "SCMP_ACT_ERRNO", errnoRet: 38 },
    { names: ["exit"], action: "SCMP_ACT_ALLOW" },
  ],
};

Deno.test({
  name: "compileSeccomp() gives whole instructions, skips unknown calls and rules that repeat the default",
  ignore,
  fn() {
    const { program, flags, notify } = compileSeccomp(DENY_MKDIR);
    assert.equal(program.length % 8, 0);
    assert.ok(program.length > 8 * 8);
    assert.equal(flags, 0);
    assert.ok(!notify);
    // SECCOMP_RET_ERRNO | ENOSYS is one of the return instructions (BPF_RET | BPF_K = 6).
    assert.ok(instructions(program).some(({ code, k }) => code === 6 && k === 0x00050026));
  },
});

Deno.test({
  name: "compileSeccomp() compares 64-bit arguments and takes two conditions on one argument as alternatives",
  ignore,
  fn() {
    const { program } = compileSeccomp({
      defaultAction: "SCMP_ACT_ERRNO",
      syscalls: [
        {
          names: ["personality"],
          action: "SCMP_ACT_ALLOW",
          args: [
            { index: 0, value: 0xffffffffn, op: "SCMP_CMP_EQ" },
            { index: 0, value: 0x1234_5678_0000_0001n, op: "SCMP_CMP_EQ" },
          ],
        },
        {
          names: ["clone"],
          action: "SCMP_ACT_ALLOW",
          args: [{ index: 0, value: 0x7e020000, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }],
        },
      ],
    });
    const constants = instructions(program).map(({ k }) => k);
    for (const k of [0xffffffff, 0x12345678, 0x7e020000]) assert.ok(constants.includes(k), k.toString(16));
  },
});

Deno.test({
  name: "compileSeccomp() compiles equal profiles once, and tells those apart that differ in a number",
  ignore,
  fn() {
    assert.equal(compileSeccomp(structuredClone(DENY_MKDIR)), compileSeccomp(DENY_MKDIR));
    assert.notEqual(compileSeccomp({ ...DENY_MKDIR, defaultAction: "SCMP_ACT_LOG" }), compileSeccomp(DENY_MKDIR));
  },
});

Deno.test.each([
  { what: "notify by default", profile: { defaultAction: "SCMP_ACT_NOTIFY" } },
  {
    what: "notify for write",
    profile: { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["write"], action: "SCMP_ACT_NOTIFY" }] },
  },
  {
    what: "a seventh argument",
    profile: {
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [{ names: ["read"], action: "SCMP_ACT_LOG", args: [{ index: 6, value: 0, op: "SCMP_CMP_EQ" }] }],
    },
  },
  {
    what: "an argument without a value (F17)",
    profile: {
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [{ names: ["read"], action: "SCMP_ACT_LOG", args: [{ index: 0, op: "SCMP_CMP_EQ" }] }],
    },
  },
])("compileSeccomp() refuses $what", ({ profile }) => {
  if (ignore) return;
  assert.throws(() => compileSeccomp(profile), /^\w*Error: Cannot (use|compare) /);
});

function instructions(program: Uint8Array<ArrayBuffer>): { code: number; k: number }[] {
  const view = new DataView(program.buffer);
  const starts = Array.from({ length: program.length / 8 }, (_, i) => i * 8);
  return starts.map((at) => ({ code: view.getUint16(at, LITTLE_ENDIAN), k: view.getUint32(at + 4, LITTLE_ENDIAN) }));
}
