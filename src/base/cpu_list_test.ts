import assert from "node:assert/strict";
import fc from "fast-check";
import { countCpus, cpusOf, formatCpuList, MAX_CPUS, parseCpuList, unite } from "./cpu_list.ts";

Deno.test.each([
  { text: "", count: 0, written: "" },
  { text: "0-3,7", count: 5, written: "0-3,7" },
  { text: " 7 , 3-5, 4-6\n", count: 5, written: "3-7" },
  { text: "0-8191", count: 8192, written: "0-8191" },
  { text: "5,,5,5-5", count: 1, written: "5" },
])("parseCpuList('$text') has $count CPUs: '$written'", ({ text, count, written }) => {
  const list = parseCpuList(text);
  assert.equal(countCpus(list), count);
  assert.equal(formatCpuList(list), written);
});

for (
  const text of ["9999999999999999999", "0-4000000000", "8192", "3-1", "-1", "1e3", "0x10", "1.5", "1-2-3", "a", "NaN"]
) {
  Deno.test(`F13: parseCpuList("${text}") refuses it by name`, () => {
    assert.throws(() => parseCpuList(text), { code: "INVALID_ARGUMENT", message: new RegExp(`"${text}"`) });
  });
}

Deno.test("F13: a text that names all CPUs 100,000 times holds them once, and a long one is not quoted whole", () => {
  assert.equal(cpusOf(parseCpuList("0-8191,".repeat(100_000))).length, MAX_CPUS);
  assert.throws(() => parseCpuList("x".repeat(1 << 20)), (error: Error) => error.message.length < 400);
});

Deno.test("unite(), cpusOf() and formatCpuList() agree with sets of numbers", () => {
  const numbers = fc.array(fc.integer({ min: 0, max: 40 }));
  fc.assert(fc.property(numbers, numbers, (one, other) => {
    const list = unite([parseCpuList(one.join(",")), parseCpuList(other.join(","))]);
    const expected = [...new Set([...one, ...other])].sort((a, b) => a - b);
    assert.deepEqual(cpusOf(list), expected);
    assert.deepEqual(cpusOf(parseCpuList(formatCpuList(list))), expected);
    assert.equal(countCpus(list), expected.length);
  }));
});
