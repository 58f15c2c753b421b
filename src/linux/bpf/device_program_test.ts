import assert from "node:assert/strict";
import fc from "fast-check";
import { deviceProgram, type DeviceRule } from "./device_program.ts";
import { LITTLE_ENDIAN } from "../ffi/libc.ts";

/** The few instructions that our programs use, run by the book. */
function run(program: Uint8Array<ArrayBuffer>, context: readonly number[]): number {
  const view = new DataView(program.buffer);
  const registers = new Array<number>(11).fill(0);
  for (let at = 0;; at += 8) {
    const code = view.getUint8(at);
    const [destination, source] = [view.getUint8(at + 1) & 15, view.getUint8(at + 1) >> 4];
    const offset = view.getInt16(at + 2, LITTLE_ENDIAN);
    const immediate = view.getInt32(at + 4, LITTLE_ENDIAN);
    const value = registers[destination]!;
    if (code === 0x61) registers[destination] = context[offset / 4]!;
    else if (code === 0xb7) registers[destination] = immediate;
    else if (code === 0xbf) registers[destination] = registers[source]!;
    else if (code === 0x57) registers[destination] = value & immediate;
    else if (code === 0x77) registers[destination] = value >>> immediate;
    else if (code === 0x05) at += offset * 8;
    else if (code === 0x55) at += value !== immediate ? offset * 8 : 0;
    else if (code === 0x45) at += (value & immediate) !== 0 ? offset * 8 : 0;
    else if (code === 0x95) return registers[0]!;
    else throw new Error(`Cannot run instruction ${code}`);
  }
}

interface Access {
  type: "block" | "char";
  major: number;
  minor: number;
  letters: string;
}

const BITS: Record<string, number> = { m: 1, r: 2, w: 4 };

function isAllowed(program: Uint8Array<ArrayBuffer>, { type, major, minor, letters }: Access): boolean {
  const bits = [...letters].reduce((sum, letter) => sum | BITS[letter]!, 0);
  return run(program, [(bits << 16) | (type === "block" ? 1 : 2), major, minor]) === 1;
}

/** Judges an access by the rules, letter by letter. */
function judge(rules: readonly DeviceRule[], access: Access): boolean {
  return [...access.letters].every((letter) => {
    const matching = rules.filter((rule) =>
      (rule.type === "all" || rule.type === access.type) && (rule.major ?? access.major) === access.major &&
      (rule.minor ?? access.minor) === access.minor && rule.access.includes(letter)
    );
    return matching.at(-1)?.allow ?? false;
  });
}

const letters = fc.subarray(["r", "w", "m"], { minLength: 1 }).map((list) => list.join(""));
const numbers = fc.option(fc.integer({ min: 0, max: 2 }), { nil: undefined });
const rules = fc.array(fc.record({
  allow: fc.boolean(),
  type: fc.constantFrom("all", "block", "char"),
  major: numbers,
  minor: numbers,
  access: letters,
}));
const accesses = fc.record({
  type: fc.constantFrom("block", "char"),
  major: fc.integer({ min: 0, max: 2 }),
  minor: fc.integer({ min: 0, max: 2 }),
  letters,
});

Deno.test("deviceProgram() answers as the last matching rule of each letter says", () => {
  fc.assert(
    fc.property(rules as fc.Arbitrary<DeviceRule[]>, accesses as fc.Arbitrary<Access>, (list, access) => {
      assert.equal(isAllowed(deviceProgram(list), access), judge(list, access));
    }),
    { numRuns: 2000 },
  );
});

Deno.test("deviceProgram() denies what no rule speaks of", () => {
  assert.ok(!isAllowed(deviceProgram([]), { type: "char", major: 1, minor: 3, letters: "r" }));
});

Deno.test("deviceProgram() joins the letters of two rules", () => {
  const program = deviceProgram([
    { allow: true, type: "char", major: 1, minor: 3, access: "r" },
    { allow: true, type: "char", major: 1, minor: 3, access: "w" },
  ]);
  assert.ok(isAllowed(program, { type: "char", major: 1, minor: 3, letters: "rw" }));
  assert.ok(!isAllowed(program, { type: "char", major: 1, minor: 3, letters: "rwm" }));
});

Deno.test("deviceProgram() refuses other letters", () => {
  const rule = { allow: true, type: "all", access: "rx" } as const;
  assert.throws(() => deviceProgram([rule]), { message: 'Cannot use device access "rx": only letters of "rwm"' });
});
