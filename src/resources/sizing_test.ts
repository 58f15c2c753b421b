import assert from "node:assert/strict";
import { type CommonConfig, defaultConfig } from "../config/schema.ts";
import { type ConfiguredSizes, configuredSizes } from "../config/sizes.ts";
import { demandOf, dynamicSize, sandboxDemand, startSize, staticSize } from "./sizing.ts";

const MIB = 2 ** 20;
const PERIOD = 100_000;

function config(change: Partial<CommonConfig> = {}): ConfiguredSizes {
  const sizes = { default_vcpus: 1, default_memory: 512, overhead_vcpus: 0.2, overhead_memory: 64 };
  const keys = { ...defaultConfig().hypervisor, ...sizes, default_maxmemory: 4096, ...change };
  return configuredSizes(keys, { cpus: 16, memoryMiB: 8192 });
}

function demand(cpus: number, memoryMiB = 0) {
  return demandOf({ cpu: { quota: Math.round(cpus * PERIOD), period: PERIOD }, memory: { limit: memoryMiB * MIB } });
}

Deno.test.each([
  { cpus: [], base: 1, vcpus: 1 },
  { cpus: new Array(10).fill(0.1), base: 0, vcpus: 1 },
  { cpus: new Array(10).fill(0.1), base: 1, vcpus: 2 },
  { cpus: [0.1, 0.2], base: 0.7, vcpus: 1 },
  { cpus: [0.5, 0.5, 0.000001], base: 1, vcpus: 3 },
  { cpus: [2], base: 0.5, vcpus: 3 },
])("B35: dynamicSize() of quotas $cpus above $base vCPUs is $vcpus", ({ cpus, base, vcpus }) => {
  const demands = cpus.map((each) => demandOf({ cpu: { quota: Math.round(each * 1e6), period: 1e6 } }));
  assert.equal(dynamicSize(demands, { ...config(), vcpus: base }).vcpus, vcpus);
});

Deno.test("B35: dynamicSize() sums thirds of different periods exactly", () => {
  const third = [[1, 3], [10, 30], [100_000, 300_000]] as const;
  const demands = third.map(([quota, period]) => demandOf({ cpu: { quota, period } }));
  assert.equal(dynamicSize(demands, { ...config(), vcpus: 0 }).vcpus, 1);
});

Deno.test("dynamicSize() adds the containers' memory to the configured, rounded up once", () => {
  assert.equal(dynamicSize([demand(0, 100), demand(0, 28)], config()).memoryMiB, 640);
  const halves = [demandOf({ memory: { limit: MIB / 2 } }), demandOf({ memory: { limit: MIB / 2 } })];
  assert.equal(dynamicSize(halves, config()).memoryMiB, 513);
});

Deno.test.each([
  { name: "no limits", cpus: 0, memory: 0, size: { vcpus: 1, memoryMiB: 512 } },
  { name: "a CPU limit", cpus: 1, memory: 0, size: { vcpus: 2, memoryMiB: 512 } },
  { name: "a fraction with room for the overhead", cpus: 0.8, memory: 0, size: { vcpus: 1, memoryMiB: 512 } },
  { name: "a memory limit", cpus: 0, memory: 256, size: { vcpus: 1, memoryMiB: 320 } },
  { name: "both", cpus: 2.5, memory: 1000, size: { vcpus: 3, memoryMiB: 1064 } },
])("B36: staticSize() with $name", ({ cpus, memory, size }) => {
  assert.deepEqual(staticSize(demand(cpus, memory), config()), size);
});

Deno.test("B36: staticSize() gives at least one vCPU", () => {
  assert.equal(staticSize(demand(0), config({ default_vcpus: 0 })).vcpus, 1);
});

Deno.test("B36: staticSize() refuses a VM of 0 MiB and says what to change", () => {
  assert.throws(() => staticSize(demand(0), config({ default_memory: 0 })), {
    code: "INVALID_ARGUMENT",
    message: "Cannot size the VM: it would have 0 MiB; raise default_memory, overhead_memory or the pod's memory limit",
  });
});

Deno.test("staticSize() and dynamicSize() refuse memory above the limit, naming it, and leave out vCPUs", () => {
  const refused = { code: "RESOURCE_EXHAUSTED", message: /MiB asked, the limit is 4096 MiB \(default_maxmemory\)$/ };
  assert.throws(() => staticSize(demand(0, 4090), config()), refused);
  assert.throws(() => dynamicSize([demand(0, 4000)], config()), refused);
  assert.equal(staticSize(demand(9), config({ default_maxvcpus: 4 })).vcpus, 4);
});

Deno.test("dynamicSize() counts the CPUs that containers are bound to, where none has a quota", () => {
  const bound = [demandOf({ cpu: { cpus: "0-1" } }), demandOf({ cpu: { cpus: "1,3" } })];
  assert.equal(dynamicSize(bound, { ...config(), vcpus: 0 }).vcpus, 3);
  assert.equal(dynamicSize([...bound, demand(1)], { ...config(), vcpus: 0 }).vcpus, 1);
});

Deno.test("demandOf() takes negative limits for none", () => {
  const { cpus, memoryBytes } = demandOf({ cpu: { quota: -1, period: PERIOD }, memory: { limit: -1 } });
  assert.deepEqual([cpus.numerator, memoryBytes], [0n, 0n]);
});

Deno.test("sandboxDemand() reads the pod's limits from containerd's annotations, else the container's own", () => {
  const annotations = {
    "io.kubernetes.cri.sandbox-cpu-period": "100000",
    "io.kubernetes.cri.sandbox-cpu-quota": "150000",
    "io.kubernetes.cri.sandbox-memory": String(256 * MIB),
  };
  const linux = { resources: { memory: { limit: 8 * MIB } } };
  const pod = staticSize(sandboxDemand({ ociVersion: "1.0.2", annotations, linux }), config());
  assert.deepEqual(pod, { vcpus: 2, memoryMiB: 320 });
  assert.equal(staticSize(sandboxDemand({ ociVersion: "1.0.2", linux }), config()).memoryMiB, 72);
  const broken = { ociVersion: "1.0.2", annotations: { "io.kubernetes.cri.sandbox-memory": "1Gi" } };
  assert.throws(() => sandboxDemand(broken), { code: "INVALID_ARGUMENT", message: /sandbox-memory "1Gi"/ });
});

Deno.test("startSize() decides once with static sizing, else leaves room up to the limits", () => {
  const sizes = config({ default_vcpus: 1.5, default_maxvcpus: 4 });
  const asked = { sizes, demand: demand(1, 256) };
  assert.deepEqual(startSize({ static_sandbox_resource_mgmt: true }, asked), {
    ...{ vcpus: 2, maxVcpus: 2, memoryMiB: 320, maxMemoryMiB: 320 },
  });
  const growing = { vcpus: 2, maxVcpus: 4, memoryMiB: 512, maxMemoryMiB: 4096 };
  assert.deepEqual(startSize({ static_sandbox_resource_mgmt: false }, asked), growing);
  assert.deepEqual(startSize({ static_sandbox_resource_mgmt: true }, { sizes }), {
    ...{ vcpus: 2, maxVcpus: 2, memoryMiB: 512, maxMemoryMiB: 512 },
  });
});
