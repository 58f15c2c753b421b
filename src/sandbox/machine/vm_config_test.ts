import assert from "node:assert/strict";
import { type CommonConfig, type Config, defaultConfig } from "../../config/schema.ts";
import { agentParams, vmConfigOf } from "./vm_config.ts";

const SIZE = { vcpus: 1, maxVcpus: 1, memoryMiB: 512, maxMemoryMiB: 512 };

function vm(hypervisor: Partial<CommonConfig>, agent: Partial<Config["agent"]> = {}) {
  const base = defaultConfig();
  const config: Config = {
    ...base,
    hypervisor: { ...base.hypervisor, ...hypervisor },
    agent: { ...base.agent, ...agent },
  };
  return vmConfigOf(config, { size: SIZE });
}

Deno.test("vmConfigOf() has no image, initrd, namespace or group where there is none", () => {
  const kernelParams = { agent: [], user: "a=1" };
  assert.deepEqual(vm({ kernel: "/k", image: "", initrd: "/i", kernel_params: "a=1" }), {
    ...{ kernel: "/k", initrd: "/i", kernelParams, size: SIZE, devices: [] },
    agent: { hostProof: true },
    console: { isVerbose: false, hasFile: false },
  });
  assert.deepEqual(vm({ image: "/r", rootfs_type: "ext4" }).image, { path: "/r", fsType: "ext4" });
});

Deno.test("vmConfigOf() keeps the console in a file for whoever debugs the guest or its agent", () => {
  assert.deepEqual(vm({ enable_debug: true }).console, { isVerbose: true, hasFile: true });
  const { console, kernelParams } = vm({}, { enable_debug: true });
  assert.deepEqual(console, { isVerbose: false, hasFile: true });
  assert.deepEqual(kernelParams.agent, ["agent.log=debug"]);
});

Deno.test("S1: vmConfigOf() asks for a host that proves itself unless the configuration says otherwise", () => {
  assert.deepEqual(vm({}).agent, { hostProof: true });
  assert.deepEqual(vm({}, { host_proof: "none" }).agent, { hostProof: false });
});

Deno.test.each([
  { enable_debug: false, log_level: "", words: [] },
  { enable_debug: true, log_level: "", words: ["agent.log=debug"] },
  { enable_debug: true, log_level: "warn", words: ["agent.log=warning"] },
])("agentParams() of enable_debug $enable_debug and log_level '$log_level'", ({ words, ...config }) => {
  assert.deepEqual(agentParams({ ...defaultConfig().agent, ...config }), words);
});

Deno.test("agentParams() refuses a level that is none", () => {
  assert.throws(() => agentParams({ ...defaultConfig().agent, log_level: "loud" }), /loud/);
});

Deno.test("S1: agentParams() lets an agent serve without a proof only if the configuration says so", () => {
  const { agent } = defaultConfig();
  assert.deepEqual(agentParams(agent), []);
  assert.deepEqual(agentParams({ ...agent, host_proof: "none" }), ["agent.host_proof=none"]);
  assert.deepEqual(agentParams({ ...agent, container_vsock: true }), ["agent.container_vsock=true"]);
});
