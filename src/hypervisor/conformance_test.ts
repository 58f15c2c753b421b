import { defaultConfig } from "../config/schema.ts";
import { hypervisorConforms } from "./testing/conformance_suite.ts";
import { fakeQemu } from "./qemu/testing/fake_qemu.ts";

hypervisorConforms({
  name: "Qemu over a fake monitor",
  config(guest) {
    const config = defaultConfig();
    const any = "/proc/self/exe";
    const files = { path: fakeQemu(), kernel: any, initrd: any, virtio_fs_daemon: any };
    const guestHabit = { kernel_params: `fake.guest="${guest}"` };
    Object.assign(config.hypervisor, {
      ...files,
      ...guestHabit,
      agent_transport: "virtio-serial",
      block_device_driver: "virtio-blk-pci",
    });
    return config;
  },
  bootMs: 2_000,
});
