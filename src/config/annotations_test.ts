import assert from "node:assert/strict";
import { errorChain } from "../base/error.ts";
import { applyAnnotations } from "./annotations.ts";
import { defaultConfig } from "./schema.ts";

const HYPERVISOR = "io.katacontainers.config.hypervisor";

Deno.test("applyAnnotations() changes what is allowed and leaves the original alone", () => {
  const before = defaultConfig();
  before.hypervisor.kernel_params = "a=1";
  const { config, warnings } = applyAnnotations(before, {
    [`${HYPERVISOR}.default_vcpus`]: "1.5",
    [`${HYPERVISOR}.default_memory`]: "512",
    [`${HYPERVISOR}.kernel_params`]: "b=2 c",
    "io.katacontainers.config.agent.kernel_modules": "e1000e x=1; i915",
    "io.kubernetes.cri.container-type": "sandbox",
  });
  assert.equal(config.hypervisor.default_vcpus, 1.5);
  assert.equal(config.hypervisor.default_memory, 512);
  assert.equal(config.hypervisor.kernel_params, "a=1 b=2 c");
  assert.deepEqual(config.agent.kernel_modules, ["e1000e x=1", "i915"]);
  assert.deepEqual(warnings, []);
  assert.equal(before.hypervisor.kernel_params, "a=1");
});

Deno.test("applyAnnotations() refuses what enable_annotations does not list in full", () => {
  const config = defaultConfig();
  config.hypervisor.enable_annotations = ["default_.*emory", "kernel"];
  applyAnnotations(config, { [`${HYPERVISOR}.default_memory`]: "512" });
  assert.throws(() => applyAnnotations(config, { [`${HYPERVISOR}.kernel_params`]: "x" }), {
    code: "PERMISSION_DENIED",
    message: `Cannot use annotation ${HYPERVISOR}.kernel_params: enable_annotations does not list "kernel_params"`,
  });
});

Deno.test.each(["", "two", "-1", "NaN", "1e999"])("applyAnnotations() refuses default_vcpus %s", (text) => {
  assert.throws(() => applyAnnotations(defaultConfig(), { [`${HYPERVISOR}.default_vcpus`]: text }), {
    code: "INVALID_ARGUMENT",
    message: `Cannot use annotation ${HYPERVISOR}.default_vcpus "${text}"`,
  });
});

Deno.test.each([["0", ">=1"], ["86401", "<=86400"], ["2147484", "<=86400"]])(
  "applyAnnotations() holds a pod's value to the range of its key: create_container_timeout %s",
  (value, bound) => {
    const annotation = "io.katacontainers.config.runtime.create_container_timeout";
    assert.throws(() => applyAnnotations(defaultConfig(), { [annotation]: value }), (error: Error) => {
      assert.equal(
        errorChain(error),
        `Cannot use annotation ${annotation} "${value}": ` +
          `agent.kata.create_container_timeout must be ${bound}, but is ${value}`,
      );
      return true;
    });
  },
);

Deno.test.each([`${HYPERVISOR}.nope`, "io.katacontainers.config.toString"])("applyAnnotations() warns of %s", (key) => {
  const { warnings } = applyAnnotations(defaultConfig(), { [key]: "x" });
  assert.deepEqual(warnings, [`Unknown annotation "${key}" has no effect`]);
});

const LONG = `\x1b]0;owned\x07\n${"x".repeat(4096)}`;
const IS_SHORT_LINE = /^\P{Cc}{1,500}$/u;

Deno.test("F12: what a pod wrote stands in a message as one short line", () => {
  const key = `${HYPERVISOR}.default_vcpus`;
  assert.throws(() => applyAnnotations(defaultConfig(), { [key]: LONG }), { message: IS_SHORT_LINE });
  const why = (error: Error) => IS_SHORT_LINE.test(error.message) && IS_SHORT_LINE.test(String(error.cause));
  assert.throws(() => applyAnnotations(defaultConfig(), { [key]: LONG }), why);
  const { warnings } = applyAnnotations(defaultConfig(), { [`${HYPERVISOR}.${LONG}`]: "x" });
  assert.match(warnings[0]!, IS_SHORT_LINE);
});
