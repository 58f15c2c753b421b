import assert from "node:assert/strict";
import { defaultConfig } from "./schema.ts";
import { configuredSizes } from "./sizes.ts";

const HOST = { cpus: 4, memoryMiB: 8192 };

Deno.test.each([
  { vcpus: 0, max: 0, becomes: [1, 4] },
  { vcpus: -1, max: 0, becomes: [4, 4] },
  { vcpus: 2.5, max: 2, becomes: [2.5, 3] },
  { vcpus: 99, max: 0, becomes: [4, 4] },
  { vcpus: 1, max: 8, becomes: [1, 8] },
  { vcpus: 1, max: 999, becomes: [1, 255] },
])("configuredSizes() on 4 CPUs makes default_vcpus $vcpus of $max become $becomes", ({ vcpus, max, becomes }) => {
  const keys = { ...defaultConfig().hypervisor, default_vcpus: vcpus, default_maxvcpus: max };
  const sizes = configuredSizes(keys, HOST);
  assert.deepEqual([sizes.vcpus, sizes.maxVcpus], becomes);
});

Deno.test.each([
  { memory: 512, max: 0, becomes: [512, 8192] },
  { memory: 512, max: 1024, becomes: [512, 1024] },
  { memory: 512, max: 99999, becomes: [512, 8192] },
])("configuredSizes() on 8192 MiB makes default_memory $memory of $max become $becomes", ({ memory, max, becomes }) => {
  const keys = { ...defaultConfig().hypervisor, default_memory: memory, default_maxmemory: max };
  const sizes = configuredSizes(keys, HOST);
  assert.deepEqual([sizes.memoryMiB, sizes.maxMemoryMiB], becomes);
});
