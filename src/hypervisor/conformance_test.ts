import { defaultConfig, type QemuConfig } from "../config/schema.ts";
import { createHypervisor, describeTemplate } from "./create.ts";
import { fakeQemu } from "./qemu/testing/fake_qemu.ts";
import { hypervisorConforms } from "./testing/conformance_suite.ts";
import { CORE_LACKS, coreDriver } from "./testing/core_monitor.ts";
import { plainVm } from "./testing/vm.ts";

const QEMU: QemuConfig = {
  ...defaultConfig().hypervisor,
  path: fakeQemu(),
  virtio_fs_daemon: "/proc/self/exe",
  agent_transport: "virtio-serial",
  block_device_driver: "virtio-blk-pci",
};

hypervisorConforms({
  name: "Qemu over a fake monitor",
  vm: (guest) => plainVm({ kernelParams: { agent: [], user: `fake.guest="${guest}"` }, initrd: "/proc/self/exe" }),
  create: (vm, { program = QEMU.path, ...options }) => createHypervisor({ ...QEMU, path: program }, vm, options),
  identify: (vm) => describeTemplate(QEMU, vm),
  bootMs: 2_000,
});

hypervisorConforms({
  name: "A monitor with the core alone",
  vm: (guest) => plainVm({ kernelParams: { agent: [], user: guest } }),
  create: (vm, { program, ...options }) => coreDriver(program).create(QEMU, vm, options),
  lacks: CORE_LACKS,
  bootMs: 2_000,
});
