import assert from "node:assert/strict";
import { targetNamed } from "../targets.ts";
import { decodeInput, encodeInput } from "./encode.ts";
import { findFault } from "./faults.ts";
import { makeInput } from "./loop.ts";
import { Random } from "./random.ts";
import { runTarget } from "./supervise.ts";

Deno.test("Random gives the same again for the same seed, and other things for its neighbour", () => {
  assert.notDeepEqual([...new Random("7:1").bytes(16)], [...new Random("7:2").bytes(16)]);
  assert.deepEqual([...new Random("7:1").bytes(16)], [...new Random("7:1").bytes(16)]);
});

Deno.test("encodeInput() keeps bytes, big numbers, NaN and keys such as __proto__", () => {
  const input = { bytes: Uint8Array.of(1, 255), big: 2n ** 64n, numbers: [NaN, -0, Infinity], lone: "\ud800" };
  assert.deepEqual(decodeInput(encodeInput(input)), input);
  assert.deepEqual(Object.keys(decodeInput('{"__proto__":1}') as object), ["__proto__"]);
});

Deno.test.each<{ error: unknown; isFault: boolean }>([
  { error: new TypeError("Cannot read properties of undefined (reading 'x')"), isFault: true },
  { error: new Error("Cannot start", { cause: new TypeError("x is not iterable") }), isFault: true },
  { error: new SyntaxError("Unexpected token 'g', \"g\" is not valid JSON"), isFault: true },
  { error: new Error("Cannot parse x", { cause: new SyntaxError('"g" is not valid JSON') }), isFault: false },
  { error: new RangeError('Cannot parse size "x": expected digits'), isFault: false },
  { error: "a text", isFault: true },
])("findFault($error) is $isFault", ({ error, isFault }) => assert.equal(findFault(error) !== undefined, isFault));

Deno.test("makeInput() makes the same input from a seed each time", () => {
  const target = targetNamed("ttrpc-server");
  assert.equal(encodeInput(makeInput(target, "3:9")), encodeInput(makeInput(target, "3:9")));
});

Deno.test.each([
  { name: "fault", finds: "fault" },
  { name: "rejection", finds: "rejection" },
  { name: "hang", finds: "hang" },
  { name: "silence", finds: "hang" },
  { name: "crash", finds: "crash" },
  { name: "pollution", finds: "witness" },
  { name: "escape", finds: "witness" },
])("runTarget() finds a planted $name", async ({ name, finds }) => {
  const { findings, inputs } = await runTarget(targetNamed(`planted-${name}`), { seed: "1", inputs: 100 });
  assert.deepEqual(findings.map(({ kind }) => kind), [finds]);
  assert.equal(inputs, 100);
});

Deno.test("runTarget() takes a refusal for an answer", async () => {
  const { findings, inputs, taken } = await runTarget(targetNamed("planted-refusal"), { seed: "1", inputs: 100 });
  assert.deepEqual([findings, inputs, taken], [[], 100, 0]);
});
