/** Reading a configuration: integers, types, and what is absent. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { formatSpec, HOOK_KINDS, parseJson, parseProcess, parseResources, parseSpec, SPEC_SHAPE } from "./spec.ts";
import { valuesOf } from "./testing/values.ts";

Deno.test("parseJson() and formatSpec() keep integers beyond 2^53", () => {
  const text = '{"limit":18446744073709551615,"small":5,"half":0.5}';
  const spec = parseJson(text) as { limit: bigint };
  assert.equal(spec.limit, 2n ** 64n - 1n);
  assert.equal(formatSpec(spec), text);
  fc.assert(fc.property(fc.bigInt(-(2n ** 63n), 2n ** 64n - 1n), (value) => {
    const read = (parseJson(`{"v":${value}}`) as { v: bigint | number }).v;
    assert.equal(BigInt(read), value);
  }));
});

Deno.test("parseSpec() reads back what formatSpec() writes, whatever fields there are", () => {
  fc.assert(fc.property(valuesOf(SPEC_SHAPE), (spec) => {
    // structuredClone: fast-check makes objects without a prototype.
    assert.deepEqual(parseSpec(formatSpec(spec)), structuredClone(spec));
  }));
});

Deno.test("parseSpec() takes null for absent, and keeps keys that it does not know", () => {
  const text = '{"mounts":null,"process":{"env":null,"more":[1]},"linux":{"more":{"a":null}}}';
  const process = { more: [1], user: { uid: 0, gid: 0 }, cwd: "" };
  assert.deepEqual(parseSpec(text), { ociVersion: "", process, linux: { more: {} } });
});

Deno.test("parseSpec() passes over hooks of an unknown kind", () => {
  const spec = parseSpec('{"hooks":{"later":5,"poststop":[{"path":"/a"}]}}');
  assert.deepEqual(HOOK_KINDS.flatMap((kind) => spec.hooks?.[kind] ?? []), [{ path: "/a" }]);
});

Deno.test("parseSpec() fills in what is required and not there, wherever it is, and nothing else", () => {
  const rules = { seccomp: { syscalls: [{ args: [{ index: 1 }] }] }, resources: { devices: [{ access: "r" }] } };
  const { ociVersion, process, mounts, linux } = parseSpec(
    JSON.stringify({ process: { rlimits: [{ soft: 5 }] }, mounts: [{ type: "tmpfs" }], linux: rules }),
  );
  assert.equal(ociVersion, "");
  assert.deepEqual(process, { user: { uid: 0, gid: 0 }, cwd: "", rlimits: [{ type: "", soft: 5, hard: 0 }] });
  assert.deepEqual(mounts, [{ destination: "", type: "tmpfs" }]);
  const args = [{ index: 1, value: 0, op: "" }];
  assert.deepEqual(linux, {
    seccomp: { defaultAction: "", syscalls: [{ names: [], action: "", args }] },
    resources: { devices: [{ allow: false, access: "r" }] },
  });
});

Deno.test("parseProcess() makes root of a user that is not named", () => {
  assert.deepEqual(parseProcess('{"user":{"gid":5,"umask":0}}').user, { uid: 0, gid: 5, umask: 0 });
  assert.deepEqual(parseProcess("{}").user, { uid: 0, gid: 0 });
});

Deno.test.each([
  { text: "[]", why: "the document: it is [], not an object" },
  { text: "null", why: "the document: it is null, not an object" },
  { text: '{"hostname":5}', why: "hostname: it is 5, not text" },
  { text: '{"process":{"user":{"uid":"root"}}}', why: 'process.user.uid: it is "root", not a whole number' },
  { text: '{"process":{"user":{"uid":-1}}}', why: "process.user.uid: it is -1, not a whole number from 0 to" },
  { text: '{"process":{"args":["a",null]}}', why: "process.args[1]: it is null, not text" },
  { text: '{"process":{"terminal":"no"}}', why: 'process.terminal: it is "no", not true or false' },
  { text: '{"hooks":{"prestart":{}}}', why: "hooks.prestart: it is {}, not a list" },
  { text: '{"annotations":{"a":1}}', why: "annotations.a: it is 1, not text" },
  { text: '{"linux":{"resources":{"cpu":{"shares":1.5}}}}', why: "linux.resources.cpu.shares: it is 1.5, not a whole" },
])("parseSpec() refuses $text: $why", ({ text, why }) => {
  assert.throws(() => parseSpec(text), (error: Error) => error.message.startsWith(`Cannot use ${why}`));
});

Deno.test("parseResources() knows the types of limits", () => {
  assert.deepEqual(parseResources('{"pids":{"limit":-1}}'), { pids: { limit: -1 } });
  assert.throws(() => parseResources('{"pids":{"limit":"1"}}'), TypeError);
});

Deno.test.each([
  { process: '{"oomScoreAdj":9007199254740992}' },
  { process: '{"ioPriority":{"class":"IOPRIO_CLASS_BE","priority":18446744073709551615}}' },
  { process: '{"scheduler":{"policy":"SCHED_OTHER","nice":9007199254740993}}' },
])("parseProcess() refuses $process, which a number cannot hold", ({ process }) => {
  assert.throws(() => parseProcess(process), /^TypeError: Cannot use .*, not a whole number within 2\^53$/);
});
