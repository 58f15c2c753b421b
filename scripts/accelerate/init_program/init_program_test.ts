import assert from "node:assert/strict";
import {
  assemble,
  type Machine,
  runProgram,
  testEachAssembler,
  testEachMachine,
} from "../../../src/linux/child_program/testing/assembler.ts";
import { assembleInit, ENCODERS, type Step } from "./init_program.ts";

async function runInit(steps: Step[], machine: Machine): Promise<{ code: number; stdout: string }> {
  return await runProgram(assembleInit(steps, machine.arch), machine);
}

const AT_FDCWD = -100;
const end: Step = { call: "exit", args: [0], onError: "ignore" };

function print(text: string): Step {
  return { call: "write", args: [1, new TextEncoder().encode(text), text.length], onError: "stop" };
}

testEachMachine((arch) => `assembleInit() runs its steps in order (${arch})`, async (machine) => {
  assert.deepEqual(await runInit([print("one "), print("two"), end], machine), { code: 0, stdout: "one two" });
});

testEachMachine((arch) => `assembleInit() ends at a failing step and names it (${arch})`, async (machine) => {
  const missing: Step = { call: "openat", args: [AT_FDCWD, "/no/such", 0, 0], onError: "stop" };
  assert.deepEqual(await runInit([print("x"), missing, print("y")], machine), {
    code: 1,
    stdout: "xinit: Cannot openat /no/such\n",
  });
});

testEachMachine((arch) => `assembleInit() goes on after a step whose error is ignored (${arch})`, async (machine) => {
  const missing: Step = { call: "openat", args: [AT_FDCWD, "/no/such", 0, 0], onError: "ignore" };
  assert.deepEqual(await runInit([missing, print("on"), end], machine), { code: 0, stdout: "on" });
});

testEachMachine((arch) => `assembleInit() retries a step with 10 ms in between (${arch})`, async (machine) => {
  const path = await Deno.makeTempFile();
  await Deno.remove(path);
  const started = performance.now();
  const steps: Step[] = [
    { call: "openat", args: [AT_FDCWD, path, 0, 0], onError: "stop", retries: 1000 },
    print("found"),
    end,
  ];
  const running = runInit(steps, machine);
  await new Promise((resolve) => setTimeout(resolve, 50));
  await Deno.writeTextFile(path, "");
  assert.deepEqual(await running, { code: 0, stdout: "found" });
  assert.ok(performance.now() - started < 5000);
  await Deno.remove(path);
});

testEachMachine((arch) => `assembleInit() gives up after the last retry (${arch})`, async (machine) => {
  const steps: Step[] = [{ call: "openat", args: [AT_FDCWD, "/no/such", 0, 0], onError: "stop", retries: 3 }];
  assert.equal((await runInit(steps, machine)).code, 1);
});

testEachMachine(
  (arch) => `assembleInit() passes arrays of strings, as execve needs them (${arch})`,
  async (machine) => {
    const shell: Step = {
      call: "execve",
      args: ["/bin/sh", ["/bin/sh", "-c", "echo $GREETING"], ["GREETING=hello"]],
      onError: "stop",
    };
    assert.deepEqual(await runInit([shell], machine), { code: 0, stdout: "hello\n" });
  },
);

const NUMBER = 0x123;
const WORDS = [0n, 1n, 0x1122334455667788n, 2n ** 64n - 1n, 0xffffn, 5n];

/** Source of what the encoders write for a call of NUMBER with WORDS, a look at its result, and a loop, one after the other. */
const SOURCES = {
  x86_64: `.intel_syntax noprefix
    movabs rdi, ${WORDS[0]}
    movabs rsi, ${WORDS[1]}
    movabs rdx, ${WORDS[2]}
    movabs r10, ${WORDS[3]}
    movabs r8, ${WORDS[4]}
    movabs r9, ${WORDS[5]}
    mov eax, ${NUMBER}
    syscall
    .byte 0x48, 0x3d; .long -4095 # cmp rax, -4095, which the assembler writes the same
    jb .+6+0x1000
    mov r12d, 77
    dec r12d
    jnz .-3-0x1000
  `,
  aarch64: `${WORDS.map(moves).join("")}${moves(BigInt(NUMBER), 8)}
    svc #0
    cmn x0, #4095
    b.lo .+4+0x1000
    ${moves(77n, 19)}
    subs x19, x19, #1
    b.ne .-4-0x1000
  `,
};

function moves(value: bigint, register: number): string {
  const quarter = (index: number) => (value >> BigInt(16 * index)) & 0xffffn;
  return `movz x${register}, #${quarter(0)}\n` +
    [1, 2, 3].map((index) => `movk x${register}, #${quarter(index)}, lsl #${16 * index}\n`).join("");
}

testEachAssembler((arch) => `the pieces of init's code are what their source assembles to (${arch})`, async (arch) => {
  const { call, skipUnlessFailed, setCounter, countBack } = ENCODERS[arch];
  const pieces = [call(NUMBER, WORDS), skipUnlessFailed(0x1000), setCounter(77), countBack(0x1000)];
  assert.equal(
    pieces.map((piece) => piece.toHex()).join(""),
    (await assemble(arch, SOURCES[arch])).toHex(),
  );
});
