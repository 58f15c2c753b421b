import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";
import { OptionsSchema } from "../proto/runtime_options_pb.ts";
import { optionsPath, parseProcess, parseResources, readSpec } from "./requests.ts";

function any(typeUrl: string, value: Uint8Array): Any {
  return create(AnySchema, { typeUrl, value });
}

function json(typeName: string, text: string): Any {
  return any(`types.containerd.io/opencontainers/runtime-spec/1/${typeName}`, new TextEncoder().encode(text));
}

const OPTIONS = toBinary(OptionsSchema, create(OptionsSchema, { configPath: "/etc/kata.toml" }));

Deno.test.each([
  { options: any("runtimeoptions.v1.Options", OPTIONS), path: "/etc/kata.toml" },
  { options: any("cri.runtimeoptions.v1.Options", OPTIONS), path: "/etc/kata.toml" },
  { options: any("type.googleapis.com/runtimeoptions.v1.Options", OPTIONS), path: "/etc/kata.toml" },
  { options: any("containerd.runc.v1.Options", Uint8Array.of(8, 1)), path: undefined },
  { options: any("runtimeoptions.v1.Options", new Uint8Array()), path: undefined },
  { options: undefined, path: undefined },
])("optionsPath() of $options.typeUrl is $path (B51)", ({ options, path }) => assert.equal(optionsPath(options), path));

Deno.test("optionsPath() refuses options that are no protobuf", () => {
  assert.throws(() => optionsPath(any("runtimeoptions.v1.Options", Uint8Array.of(255))), { code: "INVALID_ARGUMENT" });
});

Deno.test("parseProcess() keeps 64-bit limits exact", () => {
  const text = '{"args":["true"],"rlimits":[{"type":"RLIMIT_CORE","hard":18446744073709551615,"soft":1}]}';
  const [limit] = parseProcess(json("Process", text)).rlimits ?? [];
  assert.deepEqual(limit, { type: "RLIMIT_CORE", hard: 18446744073709551615n, soft: 1 });
});

Deno.test.each([
  { title: "no JSON", value: json("Process", "{") },
  { title: "no arguments", value: json("Process", "{}") },
  { title: "nothing", value: undefined },
])("parseProcess() refuses $title", ({ value }) => {
  assert.throws(() => parseProcess(value), { code: "INVALID_ARGUMENT" });
});

Deno.test("parseResources() reads limits as JSON", () => {
  assert.deepEqual(parseResources(json("LinuxResources", '{"memory":{"limit":1048576}}')), {
    memory: { limit: 1048576 },
  });
});

Deno.test("readSpec() names the file that it cannot read (B46)", () => {
  assert.throws(() => readSpec("/no/such/bundle"), { message: /"\/no\/such\/bundle\/config.json"/ });
});
