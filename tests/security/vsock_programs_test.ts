/** The machine code of `vsock_programs.ts` and its source. */
import assert from "node:assert/strict";
import { assemble, testEachAssembler } from "../../src/linux/child_program/testing/assembler.ts";
import { VSOCK_WAYS, vsockProgram, type VsockWay } from "./vsock_programs.ts";

/** Where the code begins in the file. */
const CODE_OFFSET = 0x100;

const END = `xor edi, edi
  test eax, eax
  jns 1f
  mov edi, eax
  neg edi
1:
  mov eax, 60
  syscall`;

function mapRing(offset: number): string {
  return `mov eax, 9
  mov edi, 0
  mov esi, 4096
  mov edx, 3
  mov r10d, 1
  mov r8d, r12d
  mov r9d, ${offset}
  syscall`;
}

const SOURCES: Record<VsockWay, string> = {
  "socket(2)": `mov eax, 41
  mov edi, 40
  mov esi, 1
  mov edx, 0
  syscall`,
  "socket(2) of 32 bits": `mov eax, 359
  mov ebx, 40
  mov ecx, 1
  mov edx, 0
  int 0x80`,
  "socketcall(2)": `mov eax, 102
  mov ebx, 1
  mov ecx, 0x500000
  int 0x80`,
  "io_uring": `mov eax, 425
  mov edi, 8
  mov esi, 0x500000
  syscall
  mov r12d, eax
  ${mapRing(0)}
  mov r13, rax
  ${mapRing(0x10000000)}
  mov r14, rax
  mov byte ptr [r14], 45
  mov dword ptr [r14 + 4], 40
  mov dword ptr [r14 + 8], 1
  mov eax, dword ptr ds:0x50002c
  mov dword ptr [r13 + rax], 1
  mov edi, r12d
  mov eax, 426
  mov esi, 1
  mov edx, 1
  mov r10d, 1
  mov r8d, 0
  mov r9d, 0
  syscall
  mov eax, dword ptr ds:0x500064
  mov eax, dword ptr [r13 + rax + 8]`,
};

testEachAssembler((arch) => `programs that try vsock are what their source assembles to (${arch})`, async (arch) => {
  for (const way of VSOCK_WAYS) {
    const code = await assemble(arch, `.intel_syntax noprefix\n${SOURCES[way]}\n${END}\n`);
    const program = vsockProgram(way).subarray(CODE_OFFSET, CODE_OFFSET + code.length);
    assert.equal(program.toHex(), code.toHex(), way);
  }
}, { only: ["x86_64"] });
