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

Deno.test("loadConfig() warns of the table of a hypervisor that is not there yet, and names its file", () => {
  using files = filesOf({ "c.toml": "[runtime]", "config.d/x.toml": "[hypervisor.remote]\npath = 'x'" });
  const { warnings } = loadConfig({ commandLine: files.path("c.toml") });
  assert.deepEqual(warnings, [
    `Table hypervisor.remote in "${files.path("config.d/x.toml")}" has no effect: it is not supported yet`,
  ]);
});

Deno.test.each([
  {
    name: "a key with a slip",
    text: "[hypervisor.qemu]\npath = '/q'\n  defualt_memory = 1",
    says: ':3:3": unknown key hypervisor.qemu.defualt_memory, nearest is hypervisor.qemu.default_memory',
  },
  {
    name: "a key of another table",
    text: "runtime.kernel_modules = []",
    says: ':1:1": unknown key runtime.kernel_modules, nearest is agent.kata.kernel_modules',
  },
  {
    name: "a key that is like none",
    text: "[runtime]\nfrobnicate = 1",
    says: ':2:1": unknown key runtime.frobnicate',
  },
  {
    name: "a table with a slip, once whatever is in it",
    text: "[hypervisor.qemuu]\npath = '/q'\nkernel = '/k'",
    says: ':1:2": unknown key hypervisor.qemuu, nearest is hypervisor.qemu',
  },
  {
    name: "a key whose name looks like the path of one",
    text: '"runtime.log_level" = "info"',
    says: ':1:1": unknown key "runtime.log_level", nearest is runtime.log_level',
  },
  {
    name: "a name that each object has",
    text: "[runtime]\n__proto__ = 1\nconstructor = 2",
    says: ':2:1": unknown key runtime.__proto__; "FILE:3:1": unknown key runtime.constructor',
  },
])("B46: loadConfig() refuses $name with file, line, column and the nearest name", ({ text, says }) => {
  using files = filesOf({ "c.toml": "", "config.d/bad.toml": text });
  const file = files.path("config.d/bad.toml");
  assert.throws(() => loadConfig({ commandLine: files.path("c.toml") }), {
    code: "INVALID_ARGUMENT",
    message: `Cannot use "${file}${says.replace("FILE", file)}`,
  });
});

Deno.test("B46: loadConfig() names the first ten keys that nobody knows, and says how many there are more", () => {
  const text = Array.from({ length: 12 }, (_, index) => `key${index} = 1\n`).join("");
  using files = filesOf({ "c.toml": text });
  assert.throws(() => loadConfig({ commandLine: files.path("c.toml") }), {
    message: /:1:1": unknown key key0; .*:10:1": unknown key key9; and 2 more$/,
  });
});

Deno.test("B46: loadConfig() finds a wrong value in the file that sets it last, by an older name too", () => {
  using files = filesOf({
    "c.toml": "[runtime]\nlog_level = 1\ncreate_container_timeout = 7",
    "config.d/1.toml": "[agent.kata]\ncreate_container_timeout = 8",
    "config.d/2.toml": "\n[runtime]\nlog_level = 'info'\ncreate_container_timeout = 0 # never",
  });
  assert.throws(() => loadConfig({ commandLine: files.path("c.toml") }), {
    message: `Cannot use "${files.path("config.d/2.toml")}:4:1": ` +
      "agent.kata.create_container_timeout must be >=1, but is 0",
  });
});

Deno.test("loadConfig() reads names of Kata's other runtime", () => {
  using files = filesOf({
    "c.toml": '[hypervisor.qemu]\nseccompsandbox = "on"\nblock_device_driver = "virtio-blk"\n' +
      "[runtime]\ncreate_container_timeout = 7",
  });
  const { config, warnings } = loadConfig({ commandLine: files.path("c.toml") });
  const { hypervisor } = config;
  assert.ok(hypervisor.kind === "qemu");
  assert.equal(hypervisor.seccomp_sandbox, "on");
  assert.equal(hypervisor.block_device_driver, "virtio-blk-pci");
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
    text: '[runtime]\nagent_name = "other"',
    says: 'runtime.agent_name must be "kata", but is "other"',
  },
  {
    name: "a wrong element",
    text: "[agent.kata]\nkernel_modules = [1]",
    says: "agent.kata.kernel_modules.0 must be string, but is 1",
  },
  { name: "a value for a table", text: "runtime = 3", at: "1:1", says: "runtime must be Object, but is 3" },
  {
    name: "a number that is none",
    text: "[hypervisor.qemu]\noverhead_vcpus = inf",
    says: "hypervisor.qemu.overhead_vcpus must be number, but is Infinity",
  },
  {
    name: "more than the most",
    text: "hypervisor.qemu.virtio_fs_queue_size = 1025",
    at: "1:1",
    says: "hypervisor.qemu.virtio_fs_queue_size must be <=1024, but is 1025",
  },
  {
    name: "several lines of text",
    text: '[hypervisor.qemu]\naccelerator = """a\nb"""',
    says: 'hypervisor.qemu.accelerator must be ("auto" | "kvm" | "tcg"), but is "a\\nb"',
  },
  {
    name: "a share that would be made all the same",
    text: '[hypervisor.qemu]\nshared_fs = "none"',
    says: 'hypervisor.qemu.shared_fs "none" is not supported yet: it must be "virtio-fs"',
  },
  {
    name: "a way to join links that no pod could start with",
    text: '[runtime]\ninternetworking_model = "macvtap"',
    says: 'runtime.internetworking_model "macvtap" is not supported yet: it must be ("tcfilter" | "none")',
  },
])("B46: loadConfig() refuses $name with file, line, column and key", ({ text, at = "2:1", says }) => {
  using files = filesOf({ "c.toml": "", "config.d/bad.toml": text });
  assert.throws(() => loadConfig({ commandLine: files.path("c.toml") }), {
    code: "INVALID_ARGUMENT",
    message: `Cannot use "${files.path("config.d/bad.toml")}:${at}": ${says}`,
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
