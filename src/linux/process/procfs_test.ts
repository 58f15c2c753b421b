import assert from "node:assert/strict";
import {
  parseCpuTimes,
  parseDiskstats,
  parseKeyValues,
  parseMeminfo,
  parseNetDev,
  parseProcessUsage,
  parseStatus,
} from "./procfs.ts";

Deno.test("parseKeyValues() gives bytes and leaves text out", () => {
  const text = "Name:\tdeno\nrchar: 5\nnr_free 7\nVmPeak:\t 2 kB\n";
  assert.deepEqual(parseKeyValues(text), { rchar: 5, nr_free: 7, VmPeak: 2048 });
});

Deno.test("wire W5: parseMeminfo() gives bytes by the names that dashboards ask for", () => {
  const lines = [
    ...["MemTotal: 2 kB", "MemAvailable: 1 kB", "Active(anon): 3 kB", "AnonPages: 4 kB", "SReclaimable: 5 kB"],
    ...["SUnreclaim: 6 kB", "KReclaimable: 7 kB", "KernelStack: 8 kB", "Committed_AS: 9 kB", "HugePages_Total: 3"],
    ...["Hugepagesize: 10 kB", "AnonHugePages: 11 kB", "DirectMap4k: 12 kB", "DirectMap2M: 13 kB", "Percpu: 14 kB"],
    ...["NFS_Unstable: 15 kB", "ShmemPmdMapped: 16 kB", "SwapFree: 17 kB"],
  ];
  const items = Object.entries(parseMeminfo(lines.join("\n"))).map(([name, bytes]) => `${name} ${bytes / 1024}`);
  assert.deepEqual(items, [
    ...["mem_total 2", "mem_available 1", "active_anon 3", "anon_pages 4", "s_reclaimable 5", "s_unreclaim 6"],
    ...["k_reclaimable 7", "kernel_stack 8", "committed_as 9", `hugepages_total ${3 / 1024}`, "hugepagesize 10"],
    ...["anon_hugepages 11", "direct_map_4k 12", "direct_map_2M 13", "per_cpu 14", "nfs_unstable 15"],
    ...["shmem_pmd_mapped 16", "swap_free 17"],
  ]);
});

Deno.test("wire W5: parseStatus() gives memory in KiB and the switches, by small letters, and nothing else", () => {
  const text = "Name:\tx\nPid:\t7\nVmRSS:\t 40 kB\nRssAnon:\t 9 kB\nVmPTE:\t 3 kB\nvoluntary_ctxt_switches:\t5\n";
  assert.deepEqual(parseStatus(text), { vmrss: 40, rssanon: 9, vmpte: 3, voluntary_ctxt_switches: 5 });
});

Deno.test("wire W5: parseCpuTimes() has a row per CPU and their sum, in milliseconds", () => {
  const rows = parseCpuTimes("cpu  10 0 20 5\ncpu0 4 0 8 2\ncpu1 6 0 12 3\nintr 5\n");
  assert.deepEqual(Object.keys(rows).sort(), ["0", "1", "total"]);
  assert.deepEqual(rows["total"], { user: 100, nice: 0, system: 200, idle: 50 });
});

Deno.test("parseNetDev() skips the headings", () => {
  const text = "Inter-|   Receive\n face |bytes    packets errs\n    lo:  100 2 0 0 0 0 0 0 300 4 0 0 0 0 0 0\n";
  const rows = parseNetDev(text);
  assert.deepEqual(Object.keys(rows), ["lo"]);
  assert.equal(rows["lo"]?.["recv_bytes"], 100);
  assert.equal(rows["lo"]?.["sent_bytes"], 300);
});

Deno.test("parseDiskstats() takes kernels with fewer fields", () => {
  const rows = parseDiskstats(" 254       0 vda 5 1 40 7 0 0 0 0 0 7 7\n");
  assert.equal(rows["vda"]?.["sectors_read"], 40);
  assert.equal(rows["vda"]?.["flushes"], undefined);
});

Deno.test("parseProcessUsage() takes a command name with spaces and parentheses", () => {
  const row = `7 (a) b) S ${"0 ".repeat(10)}30 12 4 2 20 0 9 0 5 4096 2\n`;
  const usage = { utime: 30, stime: 12, cutime: 4, cstime: 2, threads: 9, vsize: 4096, rss: 2 };
  assert.deepEqual(parseProcessUsage(row), usage);
  assert.deepEqual(parseProcessUsage("").threads, 0);
});
