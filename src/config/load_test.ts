import assert from "node:assert/strict";
import { loadConfig } from "./load.ts";
import { defaultConfig } from "./schema.ts";
import { filesOf } from "./testing/temporary_files.ts";

Deno.test("loadConfig() gives an empty file all defaults", () => {
  using files = filesOf({ "c.toml": "" });
  assert.deepEqual(loadConfig({ commandLine: files.path("c.toml") }).config, defaultConfig());
});

Deno.test("loadConfig() lays config.d over the file, by name, tables merged and lists replaced", () => {
  using files = filesOf({
    "c.toml": '[hypervisor.qemu]\ndefault_memory = 512\ndefault_vcpus = 2\nvirtio_fs_extra_args = ["-d"]',
    "config.d/20.toml": "[hypervisor.qemu]\ndefault_memory = 4096",
    "config.d/10.toml": '[hypervisor.qemu]\ndefault_memory = 1024\nvirtio_fs_extra_args = ["-o", "x"]',
    "config.d/30.toml.bak": "[hypervisor.qemu]\ndefault_memory = 1",
  });
  const { hypervisor } = loadConfig({ commandLine: files.path("c.toml") }).config;
  assert.equal(hypervisor.default_memory, 4096);
  assert.equal(hypervisor.default_vcpus, 2);
  assert.deepEqual(hypervisor.virtio_fs_extra_args, ["-o", "x"]);
});

Deno.test("loadConfig() warns of keys that nobody reads and names their file", () => {
  using files = filesOf({ "c.toml": "[runtime]", "config.d/x.toml": "[hypervisor.clh]\npath = 'x'" });
  const { warnings } = loadConfig({ commandLine: files.path("c.toml") });
  assert.deepEqual(warnings, [`Unknown key hypervisor.clh.path in "${files.path("config.d/x.toml")}" has no effect`]);
});

Deno.test("loadConfig() reads names of Kata's other runtime", () => {
  using files = filesOf({
    "c.toml": '[hypervisor.qemu]\nseccompsandbox = "on"\nblock_device_driver = "virtio-blk"\n' +
      "[runtime]\ncreate_container_timeout = 7",
  });
  const { config, warnings } = loadConfig({ commandLine: files.path("c.toml") });
  assert.equal(config.hypervisor.seccomp_sandbox, "on");
  assert.equal(config.hypervisor.block_device_driver, "virtio-blk-pci");
  assert.equal(config.agent.create_container_timeout, 7);
  assert.deepEqual(warnings, []);
});

Deno.test.each([
  {
    name: "a wrong type",
    text: '[hypervisor.qemu]\ndefault_memory = "2G"',
    says: 'hypervisor.qemu.default_memory must be number, but is "2G"',
  },
  {
    name: "a negative size",
    text: "[hypervisor.qemu]\ndefault_memory = -1",
    says: "hypervisor.qemu.default_memory must be >=0, but is -1",
  },
  {
    name: "a fraction for a count",
    text: "[hypervisor.qemu]\nmemory_slots = 1.5",
    says: "hypervisor.qemu.memory_slots must be integer, but is 1.5",
  },
  {
    name: "an unknown choice",
    text: '[runtime]\nhypervisor_name = "vbox"',
    says: 'runtime.hypervisor_name must be "qemu", but is "vbox"',
  },
  {
    name: "a wrong element",
    text: "[agent.kata]\nkernel_modules = [1]",
    says: "agent.kata.kernel_modules.0 must be string, but is 1",
  },
  { name: "a value for a table", text: "runtime = 3", says: "runtime must be Object, but is 3" },
])("B46: loadConfig() refuses $name with file and key", ({ text, says }) => {
  using files = filesOf({ "c.toml": "", "config.d/bad.toml": text });
  assert.throws(() => loadConfig({ commandLine: files.path("c.toml") }), {
    code: "INVALID_ARGUMENT",
    message: `Cannot use "${files.path("config.d/bad.toml")}": ${says}`,
  });
});

Deno.test("B46: loadConfig() reports bad TOML with file, line and column on one line", () => {
  using files = filesOf({ "c.toml": "[runtime]\nenable_debug = = true\n" });
  assert.throws(() => loadConfig({ commandLine: files.path("c.toml") }), {
    code: "INVALID_ARGUMENT",
    message: `Cannot parse "${files.path("c.toml")}:2:16": invalid value`,
  });
});

Deno.test("B46: loadConfig() reports a file that cannot be read with its errno", () => {
  using files = filesOf({ "c.toml/x": "" });
  assert.throws(() => loadConfig({ commandLine: files.path("c.toml") }), {
    code: "INVALID_ARGUMENT",
    message: `Cannot read configuration "${files.path("c.toml")}": EISDIR`,
  });
});
