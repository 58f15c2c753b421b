/** Compiled seccomp profiles, loaded by a child that then makes the calls they speak of. */
import assert from "node:assert/strict";
import { LITTLE_ENDIAN } from "../../src/linux/ffi/libc.ts";
import { compileSeccomp, hasSeccompLibrary } from "../../src/linux/security/seccomp.ts";
import type { SeccompProfile } from "../../src/linux/security/seccomp_profile.ts";
import { SyscallProgram } from "../../src/linux/child_program/program.ts";
import { leftOut } from "../../src/base/testing/left_out.ts";

const ignore = leftOut(import.meta, !hasSeccompLibrary() && "libseccomp is not installed");
const PR_SET_NO_NEW_PRIVS = 38;
const SECCOMP_SET_MODE_FILTER = 1;

/** Loads a profile in a child, which then calls umask(0o22) and umask(0o77). @returns What went wrong, if anything. */
async function outcome(profile: SeccompProfile): Promise<string> {
  const { program: filter, flags } = compileSeccomp(profile);
  const program = new SyscallProgram();
  // struct sock_fprog: u16 length, u64 address.
  const fprog = program.allocate(16);
  fprog.view.setUint16(0, filter.length / 8, LITTLE_ENDIAN);
  fprog.view.setBigUint64(8, BigInt(program.bytes(filter)), LITTLE_ENDIAN);
  program.call("prctl", [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0]);
  program.call("seccomp", [SECCOMP_SET_MODE_FILTER, flags, fprog.address], { label: "load the filter" });
  program.call("umask", [0o22], { label: "umask 22" });
  program.call("umask", [0o77], { label: "umask 77" });
  program.call("exit_group", [0]);
  await using child = program.start({ vfork: true });
  const status = await child.wait();
  if (child.failure !== undefined) return child.failure.message;
  return "signal" in status ? `signal ${status.signal}` : "done";
}

function profile(action: string, rule: Partial<NonNullable<SeccompProfile["syscalls"]>[number]> = {}): SeccompProfile {
  const architectures = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_AARCH64"];
  return { defaultAction: "SCMP_ACT_ALLOW", architectures, syscalls: [{ names: ["umask"], action, ...rule }] };
}

Deno.test.each([
  { what: "an allowed call", profile: profile("SCMP_ACT_ALLOW"), result: "done" },
  { what: "a logged call", profile: profile("SCMP_ACT_LOG"), result: "done" },
  { what: "an errno", profile: profile("SCMP_ACT_ERRNO", { errnoRet: 95 }), result: "umask 22: EOPNOTSUPP" },
  { what: "no errno given", profile: profile("SCMP_ACT_ERRNO"), result: "umask 22: EPERM" },
  { what: "a kill", profile: profile("SCMP_ACT_KILL_PROCESS"), result: "signal 31" },
  {
    what: "an argument",
    profile: profile("SCMP_ACT_ERRNO", { args: [{ index: 0, op: "SCMP_CMP_EQ", value: 0o77 }] }),
    result: "umask 77: EPERM",
  },
  {
    what: "a masked argument",
    profile: profile("SCMP_ACT_ERRNO", { args: [{ index: 0, op: "SCMP_CMP_MASKED_EQ", value: 0o55, valueTwo: 0o55 }] }),
    result: "umask 77: EPERM",
  },
  {
    what: "an argument with either of two values",
    profile: profile("SCMP_ACT_ERRNO", {
      args: [{ index: 0, op: "SCMP_CMP_EQ", value: 1 }, { index: 0, op: "SCMP_CMP_EQ", value: 0o22 }],
    }),
    result: "umask 22: EPERM",
  },
])("a child under a compiled profile meets $what: $result", async ({ profile, result }) => {
  if (ignore) return;
  assert.equal(await outcome(profile), result);
});
