import assert from "node:assert/strict";
import { parseCpuTimes, parseDiskstats, parseKeyValues, parseNetDev, parseProcessUsage } from "./procfs.ts";

Deno.test("parseKeyValues() reads meminfo in bytes and leaves text out", () => {
  const text = "MemTotal:       2048 kB\nActive(anon):      1 kB\nHugePages_Total:       3\nName:\tdeno\nnr_free 7\n";
  assert.deepEqual(parseKeyValues(text), {
    MemTotal: 2048 * 1024,
    Active_anon: 1024,
    HugePages_Total: 3,
    nr_free: 7,
  });
});

Deno.test("parseCpuTimes() has a row per CPU and their sum", () => {
  const rows = parseCpuTimes("cpu  10 0 20 5\ncpu0 4 0 8 2\ncpu1 6 0 12 3\nintr 5\n");
  assert.deepEqual(Object.keys(rows).sort(), ["0", "1", "total"]);
  assert.deepEqual(rows["total"], { user: 10, nice: 0, system: 20, idle: 5 });
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
