import assert from "node:assert/strict";
import fc from "fast-check";
import { ERRNO, type ErrnoName } from "../ffi/errno.ts";
import { LITTLE_ENDIAN } from "../ffi/libc.ts";
import { STEP, STEP_FLAG } from "./machine_code.ts";
import { PAGE, ProgramMemory, REST_ADDRESS } from "./memory.ts";
import { layOutSteps, Slot, type Step } from "./call.ts";

const SLOT = new Slot({ address: 0x7000, view: new DataView(new ArrayBuffer(8)) });
const names = Object.keys(ERRNO) as ErrnoName[];

const steps = fc.array(
  fc.record({
    number: fc.integer({ min: -1, max: 500 }),
    args: fc.array(
      fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }), fc.maxSafeInteger(), fc.constant(SLOT)),
      {
        maxLength: 6,
      },
    ),
    label: fc.string(),
    options: fc.record({
      ignore: fc.oneof(fc.constant("all" as const), fc.array(fc.constantFrom(...names), { maxLength: 8 })),
      result: fc.constant(SLOT),
      zeroFails: fc.boolean(),
      skipIfIgnored: fc.nat(1000),
      skipIfDone: fc.nat(1000),
    }, { requiredKeys: [] }),
  }),
  { maxLength: 20 },
);

/** Reads a step as the routine does. */
function expected({ number, args, options }: Step) {
  const { ignore = [], result, zeroFails = false, skipIfIgnored = 0, skipIfDone = 0 } = options;
  return {
    number,
    args: Array.from({ length: 6 }, (_, i) => {
      const argument = args[i] ?? 0;
      return {
        indirect: argument instanceof Slot,
        value: argument instanceof Slot ? 0x7000n : BigInt.asUintN(64, BigInt(argument)),
      };
    }),
    ignoreAll: ignore === "all",
    zeroFails,
    ignored: ignore === "all" ? [] : ignore.map((name): number => ERRNO[name]),
    result: BigInt(result?.address ?? 0),
    skips: [skipIfIgnored, skipIfDone],
  };
}

function decode(view: DataView): ReturnType<typeof expected> {
  const flags = Number(view.getBigUint64(STEP.flags, LITTLE_ENDIAN));
  const ignored = Array.from({ length: 8 }, (_, i) => view.getUint8(STEP.ignore + i));
  const end = ignored.indexOf(0);
  return {
    number: Number(view.getBigInt64(STEP.number, LITTLE_ENDIAN)),
    args: Array.from({ length: 6 }, (_, i) => ({
      indirect: (flags & (STEP_FLAG.indirect << i)) !== 0,
      value: view.getBigUint64(STEP.arguments + 8 * i, LITTLE_ENDIAN),
    })),
    ignoreAll: (flags & STEP_FLAG.ignoreAll) !== 0,
    zeroFails: (flags & STEP_FLAG.zeroFails) !== 0,
    ignored: end < 0 ? ignored : ignored.slice(0, end),
    result: view.getBigUint64(STEP.result, LITTLE_ENDIAN),
    skips: [view.getUint32(STEP.skipIfIgnored, LITTLE_ENDIAN), view.getUint32(STEP.skipIfDone, LITTLE_ENDIAN)],
  };
}

Deno.test("layOutSteps() says to the routine what the steps say", () => {
  fc.assert(fc.property(steps, (list) => {
    using memory = new ProgramMemory();
    const { address, end, at } = layOutSteps(memory, list as Step[]);
    const pointer = Deno.UnsafePointer.create(BigInt(address));
    const bytes = pointer === null
      ? new ArrayBuffer()
      : new Deno.UnsafePointerView(pointer).getArrayBuffer(end - address);
    (list as Step[]).forEach((step, index) => {
      assert.deepEqual(decode(new DataView(bytes, index * STEP.size, STEP.size)), expected(step));
      assert.equal(at(address + index * STEP.size), step);
    });
    assert.equal(at(0), undefined);
  }));
});

Deno.test("StepList.add() goes on after the first steps, as far as there is room", () => {
  using memory = new ProgramMemory();
  const step = (label: string): Step => ({ number: 1, args: [], label, options: {} });
  const list = layOutSteps(memory, [step("a")], 3);
  list.add([step("b"), step("c")]);
  assert.equal(list.at(list.address + 2 * STEP.size)?.label, "c");
  assert.equal(list.end, list.address + 3 * STEP.size);
  assert.throws(() => list.add([step("d")]), { message: "Cannot run more than 3 steps" });
});

Deno.test("ProgramMemory gives every piece a place of its own, however large", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(300_000), { maxLength: 20 }), fc.boolean(), (sizes, isApart) => {
      using memory = new ProgramMemory({ isApart });
      const pieces = sizes.map((size) => ({ size, ...memory.allocate(size) }));
      const restSize = memory.file === undefined ? 0 : settledSize(memory);
      const sorted = pieces.filter(({ size }) => size > 0).toSorted((a, b) => a.address < b.address ? -1 : 1);
      for (const [index, { address, size, view }] of sorted.entries()) {
        assert.equal(address % 16, 0);
        assert.equal(view.byteLength, size);
        const next = sorted[index + 1];
        assert.ok(next === undefined || address + size <= next.address);
        if (memory.file === undefined) continue;
        assert.ok(address >= REST_ADDRESS && address + size <= REST_ADDRESS + restSize);
      }
    }),
    { numRuns: 20 },
  );
});

Deno.test("ProgramMemory.turnPage() puts what follows on another page than what was before", () => {
  fc.assert(fc.property(fc.array(fc.nat(200_000), { maxLength: 5 }), (sizes) => {
    using memory = new ProgramMemory({ isApart: true });
    const ends = sizes.map((size) => memory.allocate(size).address + size);
    memory.turnPage();
    const { address } = memory.allocate(8);
    assert.ok(ends.every((end) => Math.floor((end - 1) / PAGE) !== Math.floor(address / PAGE)));
  }));
});

function settledSize(memory: ProgramMemory): number {
  memory.settle({ mayGrow: false });
  const told = new Uint8Array(8);
  assert.equal(memory.file!.read(told), 8);
  return Number(new DataView(told.buffer).getBigUint64(0, LITTLE_ENDIAN));
}

Deno.test("ProgramMemory makes V8 collect no garbage: of the memory of a child apart it sees what is written only", () => {
  const before = Deno.memoryUsage().external;
  using memory = new ProgramMemory({ isApart: true });
  memory.allocate(1000);
  assert.ok(Deno.memoryUsage().external - before < 1 << 20);
});
