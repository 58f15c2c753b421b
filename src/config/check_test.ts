import assert from "node:assert/strict";
import { checkConfig, type HostFacts, readHostFacts, warnOfPlanned } from "./check.ts";
import { filesOf } from "./testing/temporary_files.ts";
import { defaultConfig, type QemuConfig } from "./schema.ts";

function isThere(path: string): string | undefined {
  return path.includes("missing") ? "ENOENT" : undefined;
}

const HOST: HostFacts = { cpus: 4, memoryMiB: 8192, fileProblem: isThere, programProblem: isThere };

function configWith(qemu: Partial<QemuConfig>) {
  const config = defaultConfig();
  return { ...config, hypervisor: { ...config.hypervisor, image: "/root.erofs", ...qemu } };
}

Deno.test.each<{ name: string; qemu: Partial<QemuConfig>; says: string }>([
  { name: "emulator", qemu: { path: "/missing/qemu" }, says: 'hypervisor.qemu.path "/missing/qemu": ENOENT' },
  { name: "kernel", qemu: { kernel: "/missing/k" }, says: 'hypervisor.qemu.kernel "/missing/k": ENOENT' },
  { name: "kernel setting", qemu: { kernel: "" }, says: "hypervisor.qemu.kernel is empty" },
  { name: "image", qemu: { image: "/missing/i" }, says: 'hypervisor.qemu.image "/missing/i": ENOENT' },
  { name: "initrd", qemu: { initrd: "/missing/r" }, says: 'hypervisor.qemu.initrd "/missing/r": ENOENT' },
  { name: "firmware", qemu: { firmware: "/missing/f" }, says: 'hypervisor.qemu.firmware "/missing/f": ENOENT' },
  {
    name: "virtiofsd",
    qemu: { virtio_fs_daemon: "/missing/v" },
    says: 'hypervisor.qemu.virtio_fs_daemon "/missing/v": ENOENT',
  },
  { name: "image and initrd", qemu: { image: "" }, says: "hypervisor.qemu needs an image, an initrd, or both" },
])("B46: checkConfig() names the missing $name", ({ qemu, says }) => {
  assert.throws(() => checkConfig(configWith(qemu), HOST), {
    code: "INVALID_ARGUMENT",
    message: `Cannot use the configuration: ${says}`,
  });
});

Deno.test.each<{ key: "path" | "virtio_fs_daemon" | "vhost_vsock_daemon" }>([
  { key: "path" },
  { key: "virtio_fs_daemon" },
  { key: "vhost_vsock_daemon" },
])("F3: checkConfig() refuses a $key that others can change, for root would run it", ({ key }) => {
  using files = filesOf({ "bin/tool": "" });
  const { programProblem } = readHostFacts();
  const check = () => checkConfig(configWith({ [key]: files.path("bin/tool") }), { ...HOST, programProblem: look });
  const look = (path: string) => path === files.path("bin/tool") ? programProblem(path) : undefined;
  check();
  Deno.chmodSync(files.path("bin"), 0o777);
  assert.throws(check, {
    message: `Cannot use the configuration: hypervisor.qemu.${key} "${files.path("bin/tool")}": ` +
      `others than its owner may write to "${files.path("bin")}"`,
  });
});

Deno.test.each<{ qemu: Partial<QemuConfig>; says: RegExp }>([
  { qemu: { default_memory: 63 }, says: /default_memory is 63 MiB, the least is 64$/ },
  { qemu: { default_memory: 9000 }, says: /default_memory is 9000 MiB, more than .*8192 MiB$/ },
  { qemu: { default_memory: 2048, default_maxmemory: 1024 }, says: /more than default_maxmemory .* 1024 MiB$/ },
  { qemu: { enable_annotations: ["ok", "("] }, says: /enable_annotations holds "\("/ },
])("B46: checkConfig() refuses $qemu", ({ qemu, says }) => {
  assert.throws(() => checkConfig(configWith(qemu), HOST), { code: "INVALID_ARGUMENT", message: says });
});

Deno.test("checkConfig() reports all broken rules in one line", () => {
  assert.throws(() => checkConfig(configWith({ kernel: "/missing/k", image: "", default_memory: 1 }), HOST), {
    message: /kernel "\/missing\/k": ENOENT; .*needs an image.*; .*the least is 64/,
  });
});

Deno.test("readHostFacts() tells why a file cannot be read", () => {
  const { cpus, memoryMiB, fileProblem } = readHostFacts();
  assert.ok(cpus >= 1 && memoryMiB >= 64);
  assert.equal(fileProblem("/no/such/file"), "ENOENT");
  assert.equal(fileProblem("/proc/self/exe"), undefined);
});

Deno.test("warnOfPlanned() names the settings that do nothing yet, if somebody asks for them", () => {
  const config = defaultConfig();
  assert.deepEqual(warnOfPlanned(config), []);
  config.agent.debug_console_enabled = true;
  assert.deepEqual(warnOfPlanned(config), [
    "Setting agent.kata.debug_console_enabled has no effect: it is not supported yet",
  ]);
});
