import assert from "node:assert/strict";
import { findHostKey, hostAdmission, oemStrings } from "./host_key.ts";
import { defaultAgentOptions } from "../../agent_api/options.ts";

function structure(type: number, strings: readonly string[]): Uint8Array {
  const text = strings.length === 0 ? "\0\0" : `${strings.join("\0")}\0\0`;
  return Uint8Array.from([type, 5, 0, 0, strings.length, ...new TextEncoder().encode(text)]);
}

const FIRMWARE = structure(0, ["SeaBIOS", "1.0"]);
const END = structure(127, []);

function tables(...structures: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(structures.flatMap((bytes) => [...bytes]));
}

Deno.test("oemStrings() gives those of type 11 among other structures", () => {
  const all = tables(FIRMWARE, structure(3, []), structure(11, ["one", "org.katacontainers.host-key=ab"]), END);
  assert.deepEqual(oemStrings(all), ["one", "org.katacontainers.host-key=ab"]);
  assert.equal(findHostKey(oemStrings(all)), "ab");
  assert.equal(findHostKey(oemStrings(tables(FIRMWARE, END))), undefined);
});

Deno.test("oemStrings() ends with tables that are cut off or make no sense", () => {
  const all = tables(FIRMWARE, structure(11, ["one", "two"]), END);
  for (let length = 0; length < all.length; length++) oemStrings(all.subarray(0, length));
  assert.deepEqual(oemStrings(Uint8Array.from([11, 0, 0, 0, 0, 0])), []);
  assert.deepEqual(oemStrings(new Uint8Array(100)), []);
});

Deno.test("S1: an agent that was given no key serves nobody on vsock, unless it is told to", () => {
  const options = defaultAgentOptions();
  assert.throws(() => hostAdmission(options), /Cannot serve on vsock: .*"agent.host_proof=none"/);
  assert.throws(() => hostAdmission({ ...options, serverAddress: "serial://agent.0", logPort: 1025 }), /Cannot serve/);
  assert.equal(hostAdmission({ ...options, hostProof: "none" }).key, undefined);
  assert.equal(hostAdmission({ ...options, serverAddress: "serial://agent.0" }).key, undefined);
});
