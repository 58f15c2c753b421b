import assert from "node:assert/strict";
import type { Spec } from "../../oci/spec/spec.ts";
import { needsOf, needsOfProcess } from "./kernel_needs.ts";

function spec(change: Partial<Spec>): Spec {
  return { ociVersion: "1.2.0", ...change } as Spec;
}

const FILTERS = ["ip_tables", "ip6_tables"];

Deno.test("pods A13: needsOfProcess() lets those ask for modules that have a capability in whose name the kernel loads them", () => {
  const cases = [
    { bounding: [], mayRequest: false, listed: [] },
    { bounding: ["CAP_CHOWN", "CAP_NET_RAW", "CAP_MKNOD", "CAP_SYS_PTRACE"], mayRequest: false, listed: [] },
    { bounding: ["CAP_NET_ADMIN"], mayRequest: true, listed: FILTERS },
    { bounding: ["CAP_SYS_ADMIN"], mayRequest: true, listed: [] },
    { bounding: ["CAP_SYS_MODULE"], mayRequest: true, listed: [] },
  ];
  for (const { bounding, ...needs } of cases) {
    assert.deepEqual(needsOfProcess({ capabilities: { bounding } }), { ...needs, named: [] }, bounding.join());
  }
  assert.ok(needsOfProcess({ capabilities: { permitted: ["CAP_SYS_ADMIN"] } }).mayRequest);
  assert.ok(!needsOfProcess().mayRequest);
});

Deno.test("pods A13: needsOf() names what mounts and sysctls need, and TUN where it is asked for by itself", () => {
  const tun = { path: "/dev/net/tun", type: "c", major: 10, minor: 200 } as const;
  assert.deepEqual(needsOf(spec({ linux: { devices: [tun] } })).listed, ["tun"]);
  const all = { devices: [{ allow: true, access: "rwm" }] };
  assert.deepEqual(needsOf(spec({ linux: { devices: [tun], resources: all } })).listed, []);
  const parts = [{ type: "a", major: 1 }, { type: "a", access: "r" }, { type: "c" }] as const;
  for (const part of parts) {
    const devices = [{ allow: true, ...part }];
    assert.deepEqual(needsOf(spec({ linux: { devices: [tun], resources: { devices } } })).listed, ["tun"]);
  }
  const none = { devices: [...all.devices, { allow: false }] };
  assert.deepEqual(needsOf(spec({ linux: { devices: [tun], resources: none } })).listed, ["tun"]);
  const mounts = [{ destination: "/a", type: "bind" }, { destination: "/b", type: "xfs" }, { destination: "/c" }];
  const sysctl = { "net.ipv4.tcp_congestion_control": "bbr", "net.core.default_qdisc": "fq", "kernel.shmall": "1" };
  assert.deepEqual(needsOf(spec({ mounts, linux: { sysctl } })).named, ["fs-xfs", "tcp_bbr", "sch_fq"]);
  assert.deepEqual(needsOf(spec({})), { mayRequest: false, listed: [], named: [] });
});
