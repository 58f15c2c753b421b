import assert from "node:assert/strict";
import { moduleFiles } from "./kernel_module.ts";

const DEPENDENCIES = `kernel/net/netfilter/x_tables.ko:
kernel/net/ipv4/netfilter/ip_tables.ko: kernel/net/netfilter/x_tables.ko
kernel/net/ipv4/netfilter/iptable_nat.ko: kernel/net/netfilter/nf_nat.ko kernel/net/netfilter/nf_conntrack.ko
`;

Deno.test("moduleFiles() gives a module's file last, behind what it needs", () => {
  assert.deepEqual(moduleFiles(DEPENDENCIES, "x_tables"), ["kernel/net/netfilter/x_tables.ko"]);
  assert.deepEqual(moduleFiles(DEPENDENCIES, "iptable_nat"), [
    "kernel/net/netfilter/nf_conntrack.ko",
    "kernel/net/netfilter/nf_nat.ko",
    "kernel/net/ipv4/netfilter/iptable_nat.ko",
  ]);
});

Deno.test("moduleFiles() takes whole names only", () => {
  assert.deepEqual(moduleFiles(DEPENDENCIES, "tables"), []);
  assert.deepEqual(moduleFiles(DEPENDENCIES, "ip_tables")[1], "kernel/net/ipv4/netfilter/ip_tables.ko");
  assert.deepEqual(moduleFiles("", "ip_tables"), []);
});
