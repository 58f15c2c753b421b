import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { LinuxDeviceCgroupSchema, LinuxResourcesSchema, SpecSchema } from "../proto/oci_pb.ts";
import { resourcesFromProto, resourcesToProto, specFromProto, specToProto } from "./spec_codec.ts";
import type { Resources, Spec } from "../oci/spec/spec.ts";

const some = fc.string({ minLength: 1 });
const words = fc.array(fc.string(), { minLength: 1, maxLength: 3 });
const positive = fc.integer({ min: 1, max: 2 ** 31 });
const id = fc.nat(2 ** 32 - 1);
const int64 = fc.oneof(
  fc.maxSafeInteger().filter((value) => value !== 0),
  fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n - 1n }),
);
const uint64 = fc.oneof(fc.maxSafeNat(), fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }));
const rate = fc.array(fc.record({ major: fc.nat(4095), minor: fc.nat(), rate: uint64 }), { minLength: 1 });
const optional = { requiredKeys: [] };
const yes = fc.boolean().filter((value) => value);
function full<T>(values: fc.Arbitrary<T>): fc.Arbitrary<T[]> {
  return fc.array(values, { minLength: 1, maxLength: 3 });
}

const resources: fc.Arbitrary<Resources> = fc.record({
  devices: full(fc.record({
    allow: fc.boolean(),
    type: fc.constantFrom("a" as const, "b" as const, "c" as const),
    major: fc.nat(4095),
    minor: fc.nat(),
    access: some,
  }, { requiredKeys: ["allow"] })),
  memory: fc.record({ limit: int64, swap: int64, swappiness: fc.integer({ min: 1, max: 100 }) }, optional),
  cpu: fc.record({ quota: int64, cpus: some, mems: some }, optional),
  pids: fc.record({ limit: int64 }, optional),
  blockIO: fc.record({ weight: positive, throttleReadBpsDevice: rate, throttleWriteIOPSDevice: rate }, optional),
  hugepageLimits: full(fc.record({ pageSize: some, limit: uint64 })),
  network: fc.record({ classID: positive, priorities: full(fc.record({ name: some, priority: id })) }, optional),
}, optional);

const hooks = full(fc.record({ path: some, args: words, env: words, timeout: positive }, { requiredKeys: ["path"] }));

const spec: fc.Arbitrary<Spec> = fc.record({
  ociVersion: some,
  hostname: some,
  root: fc.record({ path: some, readonly: fc.boolean() }),
  process: fc.record({
    terminal: yes,
    consoleSize: fc.record({ height: id, width: id }),
    user: fc.record({ uid: id, gid: id, additionalGids: full(id), username: some, umask: fc.nat(0o777) }, {
      requiredKeys: ["uid", "gid"],
    }),
    args: words,
    env: words,
    cwd: some,
    capabilities: fc.record({ bounding: words, ambient: words }, optional),
    rlimits: full(fc.record({ type: some, soft: uint64, hard: uint64 })),
    oomScoreAdj: fc.integer({ min: -1000, max: 1000 }).filter((value) => value !== 0),
  }, { requiredKeys: ["user", "cwd"] }),
  mounts: full(fc.record({ destination: some, source: some, type: some, options: words }, {
    requiredKeys: ["destination"],
  })),
  hooks: fc.record({ prestart: hooks, createContainer: hooks, startContainer: hooks, poststop: hooks }, optional),
  annotations: fc.dictionary(some, fc.string(), { minKeys: 1 }),
  linux: fc.record({
    uidMappings: full(fc.record({ containerID: id, hostID: id, size: id })),
    sysctl: fc.dictionary(some, fc.string(), { minKeys: 1 }),
    resources,
    cgroupsPath: some,
    namespaces: full(fc.record({ type: fc.constantFrom("pid" as const, "mount" as const), path: some }, {
      requiredKeys: ["type"],
    })),
    seccomp: fc.record({
      defaultAction: some,
      syscalls: full(fc.record({
        names: words,
        action: some,
        errnoRet: id,
        args: full(fc.record({ index: fc.nat(5), value: uint64, op: some })),
      }, { requiredKeys: ["names", "action"] })),
    }),
    maskedPaths: words,
  }, optional),
}, { requiredKeys: ["ociVersion"] });

Deno.test("specToProto() and specFromProto() keep every field that the protocol has, over the wire", () => {
  fc.assert(fc.property(spec, (value) => {
    const wire = fromBinary(SpecSchema, toBinary(SpecSchema, specToProto(value)));
    // structuredClone: fast-check makes objects without a prototype.
    assert.deepEqual(specFromProto(wire), structuredClone(value));
  }));
});

Deno.test("resourcesFromProto() reads 0 as absent and keeps -1, which is unlimited", () => {
  const wire = resourcesToProto({ memory: { limit: 0, swap: -1 }, pids: { limit: -1 } });
  assert.deepEqual(resourcesFromProto(wire), { memory: { swap: -1 }, pids: { limit: -1 } });
});

Deno.test("resourcesToProto() sends -1 for a device number that is absent, so that 0 stays a number", () => {
  const wire = resourcesToProto({ devices: [{ allow: false, access: "rwm" }, { allow: true, major: 5, minor: 0 }] });
  assert.deepEqual(wire.Devices.map(({ Major, Minor }) => [Major, Minor]), [[-1n, -1n], [5n, 0n]]);
});

Deno.test("resourcesFromProto() reads a rule without type", () => {
  const rule = create(LinuxDeviceCgroupSchema, { Allow: true, Major: -1n, Minor: -1n, Access: "r" });
  const wire = create(LinuxResourcesSchema, { Devices: [rule] });
  assert.deepEqual(resourcesFromProto(wire).devices, [{ allow: true, access: "r" }]);
});
