import assert from "node:assert/strict";
import { defaultConfig, type QemuConfig } from "../../config/schema.ts";
import { agentParams, kernelParams, mergeParams, splitParams } from "./kernel_params.ts";

function qemu(change: Partial<QemuConfig>): QemuConfig {
  return { ...defaultConfig().hypervisor, ...change };
}

Deno.test("B43: kernelParams() prints root device, defaults, agent's and user's words in this order", async (t) => {
  const config = qemu({ image: "/root.erofs", kernel_params: "systemd.unit=x b=2" });
  const extra = ["agent.server_addr=serial://agent.0"];
  await t.assertSnapshot(kernelParams(config, extra).split(" "));
  assert.equal(kernelParams(config, extra), kernelParams(config, extra));
});

Deno.test("B43: kernelParams() lets a user's word beat the default of the same name", () => {
  const config = qemu({
    image: "/root.erofs",
    rootfs_type: "ext4",
    kernel_params: "root=/dev/vdb loglevel=7 console=hvc0",
  });
  const words = kernelParams(config).split(" ");
  assert.deepEqual(words.filter((word) => /^(root|loglevel|console|rootfstype)=/.test(word)), [
    "rootfstype=ext4",
    "root=/dev/vdb",
    "loglevel=7",
    "console=hvc0",
  ]);
});

Deno.test("kernelParams() has no root device without an image", () => {
  assert.doesNotMatch(kernelParams(qemu({ initrd: "/initrd" })), /root/);
});

Deno.test("kernelParams() refuses what the kernel would cut off", () => {
  assert.throws(() => kernelParams(qemu({ kernel_params: "x".repeat(2000) })), {
    message: /Cannot use a kernel command line of \d+ bytes: the most is 2047/,
  });
});

Deno.test.each([
  { name: "a later list wins", lists: [["a=1", "b"], ["a=2"]], merged: ["b", "a=2"] },
  { name: "one list may repeat a name", lists: [["c=1"], ["c=2", "c=3"]], merged: ["c=2", "c=3"] },
  { name: "dash and underscore are one", lists: [["x-y=1"], ["x_y"]], merged: ["x_y"] },
])("mergeParams(): $name", ({ lists, merged }) => assert.deepEqual(mergeParams(lists), merged));

Deno.test("splitParams() keeps quoted spaces together", () => {
  assert.deepEqual(splitParams('  a  b="c d" "e f"=g\n'), ["a", 'b="c d"', '"e f"=g']);
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
