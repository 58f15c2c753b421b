import { defaultConfig } from "../config/schema.ts";
import { hypervisorConforms } from "./conformance_suite.ts";
import { fakeQemu } from "./qemu/fake_qemu.ts";

hypervisorConforms({
  name: "Qemu over a fake monitor",
  config(guest) {
    const config = defaultConfig();
    const kernel = { kernel: "/proc/self/exe", kernel_params: `fake.guest="${guest}"` };
    Object.assign(config.hypervisor, { path: fakeQemu(), ...kernel, agent_transport: "virtio-serial" });
    return config;
  },
  bootMs: 2_000,
});
