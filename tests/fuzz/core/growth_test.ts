import assert from "node:assert/strict";
import { growthOf, type Sample, slopeOf } from "./growth.ts";

function samples(heapMiB: (index: number) => number): Sample[] {
  return Array.from({ length: 60 }, (_, index) => ({ inputs: index * 100, rssMiB: 0, heapMiB: heapMiB(index) }));
}

Deno.test("slopeOf() is the rise per thousand inputs", () => {
  const slope = slopeOf(samples((index) => 10 + index), ({ heapMiB }) => heapMiB);
  assert.ok(Math.abs(slope!.perThousand - 10) < 1e-9);
});

Deno.test.each<{ name: string; heap: (index: number) => number; grows: boolean }>([
  { name: "a steady rise", heap: (index) => 10 + index, grows: true },
  { name: "a cache that fills at the start", heap: (index) => index < 15 ? index * 10 : 150, grows: false },
  { name: "noise", heap: (index) => 20 + (index * 7919 % 13), grows: false },
  { name: "a rise of a few MiB", heap: (index) => 10 + index / 10, grows: false },
])("growthOf() of $name is growth: $grows", ({ heap, grows }) => {
  assert.equal(growthOf(samples(heap)) !== undefined, grows);
});

Deno.test("growthOf() says nothing about a run of a few samples", () => {
  assert.equal(growthOf(samples((index) => index * 100).slice(0, 6)), undefined);
});
