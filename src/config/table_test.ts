import assert from "node:assert/strict";
import { keyPaths, mergeTables, moveKey, type Table } from "./table.ts";

Deno.test("mergeTables() merges tables, replaces the rest and changes neither side", () => {
  const base = { a: { x: 1, y: [1, 2] }, b: 1 };
  const over = { a: { y: [3] }, b: { c: 2 } };
  assert.deepEqual(mergeTables(base, over), { a: { x: 1, y: [3] }, b: { c: 2 } });
  assert.deepEqual([base, over], [{ a: { x: 1, y: [1, 2] }, b: 1 }, { a: { y: [3] }, b: { c: 2 } }]);
});

Deno.test("mergeTables() cannot reach the prototype", () => {
  const merged = mergeTables({}, JSON.parse('{"__proto__": {"polluted": true}}'));
  assert.equal(Reflect.get({}, "polluted"), undefined);
  assert.equal(Reflect.get(merged, "polluted"), undefined);
});

Deno.test("keyPaths() lists values, not tables", () => {
  assert.deepEqual(keyPaths({ a: { b: 1, c: { d: [] } }, e: "x" }), ["a.b", "a.c.d", "e"]);
});

Deno.test.each<{ name: string; table: Table; after: Table }>([
  { name: "makes the tables it needs", table: { a: { old: 1 } }, after: { a: {}, b: { new: 1 } } },
  { name: "keeps what the new name has", table: { a: { old: 1 }, b: { new: 2 } }, after: { a: {}, b: { new: 2 } } },
  { name: "does nothing without the old name", table: { c: 1 }, after: { c: 1 } },
])("moveKey() $name", ({ table, after }) => {
  moveKey(table, "a.old", "b.new");
  assert.deepEqual(table, after);
});
