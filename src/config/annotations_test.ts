import assert from "node:assert/strict";
import { errorChain } from "../base/error.ts";
import { applyAnnotations, refuseUnknown } from "./annotations.ts";
import { defaultConfig } from "./schema.ts";
import { ALL_TABLES } from "./tables.ts";

const HYPERVISOR = "io.katacontainers.config.hypervisor";

Deno.test("applyAnnotations() changes what is allowed and leaves the original alone", () => {
  const before = defaultConfig();
  before.hypervisor.kernel_params = "a=1";
  const config = applyAnnotations(before, {
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

Deno.test.each([
  {
    name: "hypervisor.nope",
    code: "UNIMPLEMENTED",
    why: "it changes nothing here; config/README.md lists those that do",
  },
  { name: "hypervisor.cc_init_data", code: "UNIMPLEMENTED", why: "it changes nothing here; config/README.md" },
  { name: "toString", code: "UNIMPLEMENTED", why: "it changes nothing here" },
  { name: "hypervisor.toString", code: "UNIMPLEMENTED", why: "it changes nothing here" },
  { name: "constructor.name", code: "UNIMPLEMENTED", why: "it changes nothing here" },
  { name: "runtime.experimental", code: "UNIMPLEMENTED", why: "runtime.experimental is not supported yet" },
  { name: "hypervisor.path", code: "PERMISSION_DENIED", why: "only the configuration sets hypervisor.qemu.path" },
])("kind 1: applyAnnotations() refuses $name by name", ({ name, code, why }) => {
  const annotation = `io.katacontainers.config.${name}`;
  for (const act of [refuseUnknown, (all: Record<string, string>) => applyAnnotations(defaultConfig(), all)]) {
    assert.throws(() => act({ [annotation]: "x" }), (error: Error & { code?: string }) => {
      assert.equal(error.code, code);
      assert.ok(error.message.startsWith(`Cannot use annotation "${annotation}": ${why}`), error.message);
      return true;
    });
  }
});

Deno.test("kind 1: refuseUnknown() lets those of engines, of users and of the pod's own settings pass", () => {
  refuseUnknown();
  refuseUnknown({
    "io.kubernetes.cri.anything": "x",
    "example.com/mine": "x",
    "io.katacontainers.config_path": "/x",
    "io.katacontainers.pkg.oci.bundle_path": "/x",
    [`${HYPERVISOR}.default_vcpus`]: "of a container's sandbox: not looked at",
  });
  assert.throws(() => refuseUnknown({ "io.katacontainers.container.resource.swappiness": "60" }), {
    code: "UNIMPLEMENTED",
  });
});

Deno.test("kind 1: no planned key has an annotation, which would have no effect", () => {
  for (const { keys } of ALL_TABLES) {
    for (const [name, { status, annotation }] of Object.entries(keys)) {
      assert.ok(status !== "planned" || annotation === undefined, name);
    }
  }
});

const LONG = `\x1b]0;owned\x07\n${"x".repeat(4096)}`;
const IS_SHORT_LINE = /^\P{Cc}{1,500}$/u;

Deno.test("F12: what a pod wrote stands in a message as one short line", () => {
  const key = `${HYPERVISOR}.default_vcpus`;
  assert.throws(() => applyAnnotations(defaultConfig(), { [key]: LONG }), { message: IS_SHORT_LINE });
  const why = (error: Error) => IS_SHORT_LINE.test(error.message) && IS_SHORT_LINE.test(String(error.cause));
  assert.throws(() => applyAnnotations(defaultConfig(), { [key]: LONG }), why);
  const unknown = { [`${HYPERVISOR}.${LONG}`]: "x" };
  assert.throws(() => applyAnnotations(defaultConfig(), unknown), { message: IS_SHORT_LINE });
});
