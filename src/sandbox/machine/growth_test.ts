import assert from "node:assert/strict";
import { type Config, defaultConfig } from "../../config/schema.ts";
import { Growth } from "./growth.ts";

const MIB = 2 ** 20;

/** A VM and an agent that only count. */
function machine({ isStatic = false, isFixed = false } = {}) {
  const base = defaultConfig();
  const config: Config = {
    ...base,
    runtime: { ...base.runtime, static_sandbox_resource_mgmt: isStatic },
    hypervisor: {
      ...base.hypervisor,
      default_vcpus: 1,
      default_memory: 512,
      default_maxvcpus: 4,
      default_maxmemory: 2048,
    },
  };
  const size = { vcpus: 1, memoryMiB: 512 };
  const calls: unknown[] = [];
  const vm = {
    name: "fake",
    info: async () => ({ pid: 1, pids: [1], ...size }),
    ...(!isFixed && {
      resize: {
        vcpus: async (count: number) => size.vcpus = Math.max(size.vcpus, count),
        memory: async (targetMiB: number) => size.memoryMiB = Math.max(size.memoryMiB, targetMiB),
      },
    }),
  };
  const agent = { machine: { online: async (plugged: unknown) => void calls.push(plugged) } };
  return { size, calls, growth: new Growth({ config, vm, agent, cgroups: undefined }) };
}

function limits(cpus: number, memoryMiB: number) {
  return { cpu: { quota: cpus * 100_000, period: 100_000 }, memory: { limit: memoryMiB * MIB } };
}

Deno.test("wire W2: Growth.admit() adds what the container asks for, and the agent brings it online, told all vCPUs that shall be", async () => {
  const { size, calls, growth } = machine();
  await growth.admit("c1", limits(1, 256));
  assert.deepEqual(size, { vcpus: 2, memoryMiB: 768 });
  await growth.admit("c2", limits(0.5, 0));
  assert.deepEqual(size, { vcpus: 3, memoryMiB: 768 });
  assert.deepEqual(calls, [{ vcpus: 2, memory: true }, { vcpus: 3, memory: false }]);
});

Deno.test("Growth never makes the VM smaller, and reuses the room of a container that is gone", async () => {
  const { size, calls, growth } = machine();
  await growth.admit("c1", limits(2, 512));
  growth.forget("c1");
  await growth.admit("c2", limits(2, 512));
  assert.deepEqual(size, { vcpus: 3, memoryMiB: 1024 });
  assert.equal(calls.length, 1);
});

Deno.test("Growth.admit() of an update replaces the container's former demand", async () => {
  const { size, growth } = machine();
  await growth.admit("c1", limits(1, 256));
  await growth.admit("c1", limits(1, 512));
  assert.deepEqual(size, { vcpus: 2, memoryMiB: 1024 });
});

Deno.test("Growth.admit() refuses memory above the limit by name, and the container then counts as before", async () => {
  const { size, growth } = machine();
  await assert.rejects(growth.admit("c1", limits(0, 2000)), {
    code: "RESOURCE_EXHAUSTED",
    message: "Cannot size the VM: 2512 MiB asked, the limit is 2048 MiB (default_maxmemory)",
  });
  await growth.admit("c2", limits(0, 1000));
  assert.equal(size.memoryMiB, 1512);
});

Deno.test("Growth leaves a VM with static sizing as it is", async () => {
  const { size, growth } = machine({ isStatic: true });
  await growth.admit("c1", limits(4, 4000));
  assert.deepEqual(size, { vcpus: 1, memoryMiB: 512 });
});

Deno.test("Growth.admit() refuses by name what a monitor without resize cannot give, and nothing else", async () => {
  const { size, growth } = machine({ isFixed: true });
  await growth.admit("c1", limits(0, 0));
  await assert.rejects(growth.admit("c2", limits(1, 256)), {
    code: "UNIMPLEMENTED",
    message: 'Cannot give the VM 2 vCPUs and 768 MiB: monitor "fake" cannot change the size of a VM that runs',
  });
  await growth.admit("c3", limits(0, 0));
  assert.deepEqual(size, { vcpus: 1, memoryMiB: 512 });
});

Deno.test("pods B11: Growth.admit() of an update refuses memory that a VM with static sizing has not, which may go down again", async () => {
  const { growth } = machine({ isStatic: true });
  await growth.admit("c1", limits(0, 256));
  await growth.admit("c1", limits(4, 512));
  const message =
    'Cannot give container "c1" 513 MiB: the VM has 512 MiB, and static_sandbox_resource_mgmt keeps its size';
  await assert.rejects(growth.admit("c1", limits(0, 513)), { code: "RESOURCE_EXHAUSTED", message });
  // Limits of a container that is made are no promise: many pods run with more than their VM has.
  await growth.admit("c2", limits(0, 4000));
  await growth.admit("c2", limits(0, 3000));
  await growth.admit("c2", { memory: { limit: -1 } });
});

Deno.test("pods B11: Growth.admit() of an update leaves what that does not name as it was", async () => {
  const { size, growth } = machine();
  await growth.admit("c1", limits(1, 256));
  await growth.admit("c1", { cpu: { shares: 5, quota: 0, period: 0 }, memory: { limit: 0 } });
  await growth.admit("c2", limits(1, 256));
  assert.deepEqual(size, { vcpus: 3, memoryMiB: 1024 });
});
