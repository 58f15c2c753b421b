import assert from "node:assert/strict";
import { toMappedSpec } from "./mapped_spec.ts";

Deno.test("pods A17: toMappedSpec() shows the machine's sysfs, as root of a container may mount none, and leaves the network's sysctls to the agent", () => {
  const proc = { destination: "/proc", type: "proc", source: "proc" };
  const sysctl = { "net.ipv4.ip_forward": "1", "net/ipv4/conf/eth0.1/forwarding": "1", "kernel.shmmax": "1" };
  const spec = toMappedSpec({
    ociVersion: "1.2.0",
    mounts: [proc, { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "ro"] }],
    linux: { sysctl },
  });
  assert.deepEqual(spec.mounts, [
    proc,
    { destination: "/sys", type: "bind", source: "/sys", options: ["nosuid", "ro", "bind"] },
  ]);
  assert.deepEqual(spec.linux?.sysctl, { "kernel.shmmax": "1" });
});
