import { defaultConfig } from "../config/schema.ts";
import { hypervisorConforms } from "./testing/conformance_suite.ts";
import { fakeQemu } from "./qemu/testing/fake_qemu.ts";

hypervisorConforms({
  name: "Qemu over a fake monitor",
  config(guest) {
    const config = defaultConfig();
    const files = { path: fakeQemu(), kernel: "/proc/self/exe", initrd: "/proc/self/exe", shared_fs: "none" };
    const guestHabit = { kernel_params: `fake.guest="${guest}"` };
    Object.assign(config.hypervisor, { ...files, ...guestHabit, agent_transport: "virtio-serial" });
    return config;
  },
  bootMs: 2_000,
});
