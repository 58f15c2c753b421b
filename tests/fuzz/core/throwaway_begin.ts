/**
 * The first program in a root to throw away, from which all others descend: none of them can make the node of a block
 * device. A disk that the machine has mounted is mounted by its node once more without being opened, so groups do not
 * bound it.
 *
 * Usage: throwaway_begin.ts PROGRAM [ARGUMENT...]
 *
 * @module
 */
import { exitCode } from "../../../src/linux/process/wait.ts";
import { compileSeccomp } from "../../../src/linux/security/seccomp.ts";
import { SyscallProgram } from "../../../src/linux/child_program/program.ts";
import { loadFilter } from "../../../src/oci/init/filter_steps.ts";

const [S_IFMT, S_IFBLK] = [0o170000, 0o060000];
const { program: filter } = compileSeccomp({
  defaultAction: "SCMP_ACT_ALLOW",
  architectures: Deno.build.arch === "x86_64" ? ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"] : [],
  syscalls: [noBlock("mknod", 1), noBlock("mknodat", 2)],
});

using program = new SyscallProgram();
loadFilter(program, filter, { label: "deny nodes of disks" });
const env = Object.entries(Deno.env.toObject()).map(([name, value]) => `${name}=${value}`);
const [name = "", ...args] = Deno.args;
program.execve([name], { args: [name, ...args], env });
await using child = program.start();
await child.executed();
Deno.exit(exitCode(await child.wait()));

function noBlock(name: string, index: number) {
  const args = [{ index, value: S_IFMT, valueTwo: S_IFBLK, op: "SCMP_CMP_MASKED_EQ" }];
  return { names: [name], action: "SCMP_ACT_ERRNO", args };
}
