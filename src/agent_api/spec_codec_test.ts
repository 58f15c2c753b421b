import assert from "node:assert/strict";
import { create, type DescMessage, fromBinary, isFieldSet, type Message, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { LinuxDeviceCgroupSchema, LinuxResourcesSchema, SpecSchema } from "../proto/oci_pb.ts";
import { lostFields, resourcesFromProto, resourcesToProto, specFromProto, specToProto } from "./spec_codec.ts";
import { checkShape, complete } from "../oci/spec/shape.ts";
import { type Spec, SPEC_SHAPE } from "../oci/spec/spec.ts";
import { valuesOf, type ValuesOptions } from "../oci/spec/testing/values.ts";

/** Fields of the specification that do not reach the guest. A new one stands here, or the protocol carries it. */
const NOT_CARRIED = [
  "linux.intelRdt.closID",
  "linux.intelRdt.enableCMT",
  "linux.intelRdt.enableMBM",
  "linux.intelRdt.enableMonitoring",
  "linux.intelRdt.memBwSchema",
  "linux.intelRdt.schemata",
  "linux.memoryPolicy",
  "linux.resources.memory.useHierarchy",
  "linux.resources.rdma",
  "linux.seccomp.listenerMetadata",
  "linux.seccomp.listenerPath",
  "linux.timeOffsets",
  "process.execCPUAffinity",
];

/** Fields of the protocol that no specification fills. */
const NOT_FILLED = ["Solaris", "Windows"];

const OPTIONS: ValuesOptions = {
  without: NOT_CARRIED,
  narrower: {
    // A negative number stands for any device.
    "linux.resources.devices.major": fc.nat(4095),
    "linux.resources.devices.minor": fc.nat(),
    "process.oomScoreAdj": fc.integer({ min: -1000, max: 1000 }).filter((value) => value !== 0),
    "process.user.umask": fc.nat(0o777),
  },
};

const carried = valuesOf(SPEC_SHAPE, OPTIONS).map((spec) => {
  // A node without numbers, as a fifo is, has 0:0 on the wire.
  const devices = spec.linux?.devices?.map((device) => ({ major: 0, minor: 0, ...device }));
  return devices === undefined ? spec : { ...spec, linux: { ...spec.linux, devices } };
});

function sent(spec: Spec) {
  return fromBinary(SpecSchema, toBinary(SpecSchema, specToProto(spec)));
}

Deno.test("specToProto() and specFromProto() keep each field of the specification that is carried, over the wire", () => {
  fc.assert(fc.property(carried, (value) => {
    // structuredClone: fast-check makes objects without a prototype.
    assert.deepEqual(specFromProto(sent(value)), structuredClone(value));
  }));
});

Deno.test("lostFields() names each field of the specification that is not carried", () => {
  const [whole] = fc.sample(valuesOf(SPEC_SHAPE, { fields: "all" }), { numRuns: 1, seed: 1 });
  const paths = new Set(lostFields(whole!).map(({ path }) => path));
  assert.deepEqual([...paths].sort(), NOT_CARRIED);
});

Deno.test("lostFields() names nothing of a specification that is carried whole", () => {
  fc.assert(fc.property(carried, (value) => assert.deepEqual(lostFields(value), [])));
});

Deno.test("specToProto() fills each field of the protocol", () => {
  const [whole] = fc.sample(valuesOf(SPEC_SHAPE, { ...OPTIONS, fields: "all" }), { numRuns: 1, seed: 1 });
  assert.deepEqual(unset(SpecSchema, specToProto(whole!)), NOT_FILLED);
});

/** Names of fields that a message leaves at their zero, but for numbers, whose zero may be meant. */
function unset(schema: DescMessage, message: Message): string[] {
  return schema.fields.flatMap((field) => {
    if (field.fieldKind === "scalar" && field.oneof === undefined) return [];
    if (!isFieldSet(message, field)) return [field.name];
    const value = (message as unknown as Record<string, unknown>)[field.localName];
    if (field.fieldKind === "message") return unset(field.message, value as Message);
    if (field.fieldKind === "list" && field.listKind === "message") {
      return unset(field.message, (value as Message[])[0]!);
    }
    return [];
  });
}
Deno.test("specFromProto() gives every required field of messages that hold nothing, as parseSpec() does", () => {
  const lists = { Mounts: [{}], Hooks: { Poststop: [{}] }, Root: {}, Process: { Rlimits: [{}], ConsoleSize: {} } };
  const resources = {
    ...{ Devices: [{}], HugepageLimits: [{}], Network: { Priorities: [{}] } },
    BlockIO: { WeightDevice: [{}], ThrottleReadBpsDevice: [{}] },
  };
  const linux = {
    ...{ UIDMappings: [{}], Namespaces: [{}], Devices: [{}], Resources: resources },
    Seccomp: { Syscalls: [{ Args: [{}] }] },
  };
  const value = specFromProto(create(SpecSchema, { ...lists, Linux: linux }));
  const completed = structuredClone(value);
  complete(completed, SPEC_SHAPE);
  assert.deepEqual(value, completed);
  checkShape(value, SPEC_SHAPE);
  assert.deepEqual(value.process, {
    user: { uid: 0, gid: 0 },
    cwd: "",
    consoleSize: { height: 0, width: 0 },
    rlimits: [{ type: "", soft: 0, hard: 0 }],
  });
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
