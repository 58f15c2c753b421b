import { defaultConfig } from "../config/schema.ts";
import { hypervisorConforms } from "./conformance_suite.ts";
import { fakeQemu } from "./qemu/fake_qemu.ts";

hypervisorConforms({
  name: "Qemu over a fake monitor",
  config() {
    const config = defaultConfig();
    Object.assign(config.hypervisor, { path: fakeQemu(), kernel: "/proc/self/exe", agent_transport: "virtio-serial" });
    return config;
  },
  async act(vm, what) {
    Deno.kill((await vm.info()).pid, what === "panic" ? "SIGUSR2" : "SIGUSR1");
  },
  bootMs: 2_000,
});
