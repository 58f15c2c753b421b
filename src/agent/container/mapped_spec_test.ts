import assert from "node:assert/strict";
import { MachineSysctls, toMappedSpec, withoutNetworkSysctls } from "./mapped_spec.ts";

Deno.test("pods A17: toMappedSpec() shows the machine's sysfs, as root of a container may mount none, and leaves the network's sysctls to the agent", () => {
  const proc = { destination: "/proc", type: "proc", source: "proc" };
  const sysctl = { "net.ipv4.ip_forward": "1", "net/ipv4/conf/eth0.1/forwarding": "1", "kernel.shmmax": "1" };
  const asked = toMappedSpec({
    ociVersion: "1.2.0",
    mounts: [proc, { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "ro"] }],
    linux: { sysctl },
  });
  assert.deepEqual(asked.linux?.sysctl, sysctl, "a machine that is not ours refuses them by name");
  const spec = withoutNetworkSysctls(asked);
  assert.deepEqual(spec.mounts, [
    proc,
    { destination: "/sys", type: "bind", source: "/sys", options: ["nosuid", "ro", "bind"] },
  ]);
  assert.deepEqual(spec.linux?.sysctl, { "kernel.shmmax": "1" });
});

const PORTS = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
const PING = "/proc/sys/net/ipv4/ping_group_range";
const LEAST = "net.ipv4.ip_unprivileged_port_start";

/** @returns What each container in turn has written. */
function written(containers: readonly ["set" | "remember", Record<string, string>][]): string[][] {
  let lines: string[] = [];
  const sysctls = new MachineSysctls((path, value) => lines.push(`${path}=${value}`));
  return containers.map(([how, sysctl]) => {
    lines = [];
    sysctls[how]({ ociVersion: "1.2.0", linux: { sysctl } });
    return lines;
  });
}

Deno.test("pods A17: MachineSysctls.set() gives what all need once, below what a pod asks for, and no later container takes it back", () => {
  const asked = { [LEAST]: "1024", "net.ipv4.ping_group_range": "1 0", "kernel.shmmax": "1" };
  assert.deepEqual(written([["set", asked], ["set", {}], ["set", { [LEAST]: "80" }], ["set", {}]]), [
    [`${PORTS}=1024`, `${PING}=1 0`],
    [],
    [`${PORTS}=80`],
    [],
  ]);
  assert.deepEqual(written([["set", {}], ["set", {}]]), [[`${PORTS}=0`, `${PING}=0 2147483647`], []]);
});

Deno.test("pods A17: MachineSysctls.set() changes nothing that a container without mapped ids has asked for, however its name is written", () => {
  const name = "net/ipv4/ip_unprivileged_port_start";
  assert.deepEqual(written([["remember", { [name]: "1024" }], ["set", {}]]), [[], [`${PING}=0 2147483647`]]);
  assert.deepEqual(written([["set", { [name]: "1024" }]]), [[`${PING}=0 2147483647`, `${PORTS}=1024`]]);
});

Deno.test("MachineSysctls.set() names the sysctl that the kernel refuses", () => {
  const sysctls = new MachineSysctls(() => {
    throw new Error("EINVAL");
  });
  assert.throws(
    () => sysctls.set({ ociVersion: "1.2.0", linux: { sysctl: { [LEAST]: "x", "net.x": "1" } } }),
    /ping_group_range/,
  );
});
