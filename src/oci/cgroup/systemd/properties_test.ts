import assert from "node:assert/strict";
import type { DeviceRule, Resources } from "../../spec/spec.ts";
import { deviceProperties } from "./device_properties.ts";
import type { Property } from "../../../systemd/manager.ts";
import { annotationProperties, resourceProperties } from "./properties.ts";

function plain(properties: readonly Property[]): Record<string, unknown> {
  return Object.fromEntries(properties.map(([name, { value }]) => [name, value]));
}

const INFINITY = 0xffff_ffff_ffff_ffffn;

Deno.test.each<{ resources: Resources; v1: Record<string, unknown>; v2: Record<string, unknown> }>([
  { resources: {}, v1: {}, v2: {} },
  {
    resources: { memory: { limit: 100, swap: 150, reservation: 50 } },
    v1: { MemoryLimit: 100n },
    v2: { MemoryMax: 100n, MemorySwapMax: 50n, MemoryLow: 50n },
  },
  {
    resources: { memory: { limit: -1 } },
    v1: { MemoryLimit: INFINITY },
    v2: { MemoryMax: INFINITY, MemorySwapMax: INFINITY },
  },
  { resources: { cpu: { shares: 1024 } }, v1: { CPUShares: 1024n }, v2: { CPUWeight: 100n } },
  {
    resources: { cpu: { quota: 3333, period: 10_000 } },
    v1: { CPUQuotaPerSecUSec: 340_000n, CPUQuotaPeriodUSec: 10_000n },
    v2: { CPUQuotaPerSecUSec: 340_000n, CPUQuotaPeriodUSec: 10_000n },
  },
  { resources: { cpu: { quota: -1 } }, v1: { CPUQuotaPerSecUSec: INFINITY }, v2: { CPUQuotaPerSecUSec: INFINITY } },
  { resources: { cpu: { cpus: "0-1,9", mems: "0" } }, v1: {}, v2: { AllowedCPUs: [3, 2], AllowedMemoryNodes: [1] } },
  { resources: { pids: { limit: -1 } }, v1: { TasksMax: INFINITY }, v2: { TasksMax: INFINITY } },
  { resources: { blockIO: { weight: 300 } }, v1: { BlockIOWeight: 300n }, v2: {} },
])("resourceProperties($resources)", ({ resources, v1, v2 }) => {
  assert.deepEqual(plain(resourceProperties(resources, { version: 1, systemdVersion: 252 })), v1);
  assert.deepEqual(plain(resourceProperties(resources, { version: 2, systemdVersion: 252 })), v2);
});

Deno.test("resourceProperties() leaves out what an old systemd does not know", () => {
  const resources = { cpu: { quota: 500, period: 1000, cpus: "0" } };
  const known = plain(resourceProperties(resources, { version: 2, systemdVersion: 241 }));
  assert.deepEqual(known, { CPUQuotaPerSecUSec: 500_000n });
});

const TABLE = "Character devices:\n  1 mem\n136 pts\n\nBlock devices:\n  7 loop\n";

Deno.test.each<{ rules: DeviceRule[] | undefined; policy: string | undefined; allowed: string[] }>([
  { rules: undefined, policy: undefined, allowed: [] },
  { rules: [{ allow: true, access: "rwm" }], policy: "auto", allowed: [] },
  { rules: [{ allow: false, access: "rwm" }], policy: "strict", allowed: [] },
  {
    rules: [
      { allow: false, access: "rwm" },
      { allow: true, type: "c", major: 1, minor: 3, access: "rw" },
      { allow: true, type: "c", access: "m" },
      { allow: true, type: "c", major: 136, minor: -1 },
      { allow: true, type: "b", major: 7, access: "r" },
      { allow: true, type: "c", major: 99, access: "r" }, // no driver has this number
      { allow: true, type: "c", major: 5, minor: 5 },
      { allow: false, type: "c", major: 5, minor: 5 },
    ],
    policy: "strict",
    allowed: ["/dev/char/1:3 rw", "char-* m", "char-pts rwm", "block-loop r"],
  },
])("deviceProperties($rules)", ({ rules, policy, allowed }) => {
  const properties = deviceProperties(rules, () => TABLE);
  assert.equal(properties.find(([name]) => name === "DevicePolicy")?.[1].value, policy);
  const lists = properties.filter(([name]) => name === "DeviceAllow").map(([, { value }]) =>
    value as [string, string][]
  );
  assert.deepEqual(lists.flat().map((entry) => entry.join(" ")), allowed);
  if (policy !== undefined) assert.deepEqual(lists[0], []);
});

Deno.test.each([
  { text: "true", value: { signature: "b", value: true } },
  { text: "-5", value: { signature: "i", value: -5 } },
  { text: "uint64 20000000", value: { signature: "t", value: 20000000n } },
  { text: "'a word'", value: { signature: "s", value: "a word" } },
  { text: "['a.service', 'b.service']", value: { signature: "as", value: ["a.service", "b.service"] } },
])("annotationProperties() reads $text", ({ text, value }) => {
  assert.deepEqual(annotationProperties({ other: "x", "org.systemd.property.Thing": text }), [["Thing", value]]);
});

Deno.test("annotationProperties() turns seconds into microseconds, and refuses what it cannot read", () => {
  const [found] = annotationProperties({ "org.systemd.property.TimeoutStopSec": "3" });
  assert.deepEqual(found, ["TimeoutStopUSec", { signature: "t", value: 3_000_000n }]);
  assert.throws(() => annotationProperties({ "org.systemd.property.Thing": "nonsense" }), /GVariant/);
  assert.throws(() => annotationProperties({ "org.systemd.property.a b": "1" }), /names no property/);
});
