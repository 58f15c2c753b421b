/**
 * The routine of `src/linux/child_program`, as an executable of its own, on both architectures: that of arm64 by an emulator.
 * The tests of that folder run it where a child does, on this machine's architecture.
 */
import assert from "node:assert/strict";
import { BOOT_ADDRESS, HEADER, machineCode, STEP, STEP_FLAG } from "../../src/linux/child_program/machine_code.ts";
import type { Architecture } from "../../src/linux/child_program/syscall_numbers.ts";
import { type Machine, runProgram, testEachMachine } from "../../src/linux/child_program/testing/assembler.ts";
import { Constants, linkElf } from "./elf.ts";

/** Numbers on [x86_64, aarch64]. */
const CALLS = { write: [1, 64], getpid: [39, 172], close: [3, 57] } as const;
const EBADF = 9;
const LITTLE_ENDIAN = true;

interface TestStep {
  call: keyof typeof CALLS;
  args?: readonly number[];
  flags?: number;
  /** Errno to ignore. */
  ignore?: number;
  skipIfIgnored?: number;
}

/** One page: the boot program, whose one step succeeds, and the program that it says it has mapped. */
class Page {
  readonly #bytes = new Uint8Array(4096);
  readonly #view = new DataView(this.#bytes.buffer);
  #used = 2 * HEADER.size;

  constructor(arch: Architecture, program: { child: readonly TestStep[]; failing: readonly TestStep[] }) {
    this.#word(HEADER.mapped, BOOT_ADDRESS + HEADER.size);
    this.#list(HEADER.child, [{ call: "getpid" }], arch);
    this.#list(HEADER.size + HEADER.child, program.child, arch);
    this.#list(HEADER.size + HEADER.failing, program.failing, arch);
  }

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  #word(offset: number, value: number): void {
    this.#view.setBigUint64(offset, BigInt.asUintN(64, BigInt(value)), LITTLE_ENDIAN);
  }

  #list(offset: number, steps: readonly TestStep[], arch: Architecture): void {
    this.#word(offset, BOOT_ADDRESS + this.#used);
    for (const { call, args = [], flags = 0, ignore = 0, skipIfIgnored = 0 } of steps) {
      this.#word(this.#used + STEP.number, CALLS[call][arch === "x86_64" ? 0 : 1]);
      args.forEach((value, index) => this.#word(this.#used + STEP.arguments + 8 * index, value));
      this.#word(this.#used + STEP.flags, flags);
      this.#word(this.#used + STEP.ignore, ignore);
      this.#view.setUint32(this.#used + STEP.skipIfIgnored, skipIfIgnored, LITTLE_ENDIAN);
      this.#used += STEP.size;
    }
    this.#word(offset + 8, BOOT_ADDRESS + this.#used);
  }
}

async function run(
  { arch, prefix }: Machine,
  program: { child: readonly TestStep[]; failing: readonly TestStep[] },
): Promise<{ code: number; stdout: string }> {
  const data = new Constants(BigInt(BOOT_ADDRESS));
  data.place(new Page(arch, program).bytes);
  return await runProgram(linkElf(arch, machineCode(arch), data), { prefix });
}

/** Writes a letter of the file's magic number: `E`, `L` or `F`. */
function say(index: 1 | 2 | 3): TestStep {
  return { call: "write", args: [1, 0x400000 + index, 1] };
}

testEachMachine((arch) => `the routine of a child walks the steps to their end (${arch})`, async (machine) => {
  const child = [say(1), say(2), say(3)];
  assert.deepEqual(await run(machine, { child, failing: [] }), { code: 0, stdout: "ELF" });
});

testEachMachine(
  (arch) => `the routine of a child ignores errors as it is told, and skips steps (${arch})`,
  async (machine) => {
    const close = { call: "close", args: [999] } as const;
    const child = [
      { ...close, flags: STEP_FLAG.ignoreAll },
      say(1),
      { ...close, ignore: EBADF, skipIfIgnored: 1 },
      say(2),
      say(3),
    ];
    assert.deepEqual(await run(machine, { child, failing: [] }), { code: 0, stdout: "EF" });
  },
);

testEachMachine(
  (arch) => `the routine of a child goes on with other steps after one that failed (${arch})`,
  async (machine) => {
    const child = [say(1), { call: "close", args: [999] }, say(2)] as const;
    assert.deepEqual(await run(machine, { child, failing: [say(3)] }), { code: 127, stdout: "EF" });
  },
);
