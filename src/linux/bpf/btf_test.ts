import assert from "node:assert/strict";
import { findBtfFunction, findBtfMember } from "./btf.ts";

/** BTF of types, each a name and the words that follow that. */
function btf(types: readonly [name: string, ...words: number[]][]): Uint8Array<ArrayBuffer> {
  let strings = "\0";
  const words = types.flatMap(([name, ...rest]) => {
    const at = strings.length;
    strings += `${name}\0`;
    return [at, ...rest];
  });
  const header = [24, 0, 4 * words.length, 4 * words.length, strings.length];
  const numbers = new Uint8Array(Uint32Array.of(0x0001eb9f, ...header, ...words).buffer);
  return Uint8Array.from([...numbers, ...new TextEncoder().encode(strings)]);
}

const INT = [0x01000000, 4, 0x20] as const;
const STRUCT_OF_TWO = [0x04000002, 8, 0, 1, 0, 0, 1, 32] as const;
const PROTO_OF_ONE = [0x0d000001, 1, 0, 1] as const;
const FUNC = [0x0c000000, 3] as const;

Deno.test("findBtfFunction() counts types of all lengths, and takes functions only", () => {
  const all = btf([["int", ...INT], ["hook", ...STRUCT_OF_TWO], ["", ...PROTO_OF_ONE], ["a_hook", ...FUNC], [
    "hook",
    ...FUNC,
  ]]);
  assert.equal(findBtfFunction(all, "a_hook"), 4);
  assert.equal(findBtfFunction(all, "int"), undefined);
  assert.equal(findBtfFunction(all, "oo"), undefined);
  assert.equal(findBtfFunction(btf([["int", ...INT], ["hook", ...FUNC]]), "hook"), 2);
});

Deno.test("findBtfFunction() refuses what is no BTF, and ends with what is cut off", () => {
  assert.throws(() => findBtfFunction(new Uint8Array(100), "x"), TypeError);
  const all = btf([["int", ...INT], ["hook", ...FUNC]]);
  for (let length = 24; length < all.length; length++) {
    try {
      findBtfFunction(all.slice(0, length), "hook");
    } catch (error) {
      assert.ok(error instanceof RangeError);
    }
  }
});

Deno.test("findBtfMember() finds a member of that structure by its name, in bytes", () => {
  const [cred, pid] = [1, 6]; // where these names stand: "\0cred\0pid\0task\0"
  const all = btf([["cred", ...INT], ["pid", ...INT], ["task", 0x04000002, 16, cred, 0, 0, pid, 0, 64]]);
  assert.equal(findBtfMember(all, "task", "cred"), 0);
  assert.equal(findBtfMember(all, "task", "pid"), 8);
  for (const [structure, member] of [["task", "task"], ["cred", "pid"], ["task", "none"], ["none", "pid"]] as const) {
    assert.equal(findBtfMember(all, structure, member), undefined, `${structure}.${member}`);
  }
});
