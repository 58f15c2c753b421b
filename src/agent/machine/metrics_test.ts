import assert from "node:assert/strict";
import { renderMetrics } from "./metrics.ts";

function withProc(files: Record<string, string>, use: (root: string) => void): void {
  const root = Deno.makeTempDirSync({ prefix: "kata-proc-" });
  try {
    Deno.mkdirSync(`${root}/self`);
    for (const [name, text] of Object.entries(files)) Deno.writeTextFileSync(`${root}/${name}`, text);
    use(root);
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
}

Deno.test("renderMetrics() writes HELP, TYPE and labelled samples", () => {
  withProc({ loadavg: "0.50 0.25 0.10 1/57 812\n" }, (procRoot) => {
    const text = renderMetrics(3, { procRoot, filesystems: () => [] });
    assert.match(text, /^# TYPE kata_agent_scrape_count counter\nkata_agent_scrape_count 3$/m);
    assert.match(text, /^kata_guest_load\{item="load1"\} 0\.5$/m);
    assert.match(text, /^kata_guest_tasks\{item="max"\} 57$/m);
    assert.doesNotMatch(text, /kata_guest_diskstat/, "a file that is missing leaves its family out");
  });
});

Deno.test("wire W5: renderMetrics() tells of the agent in seconds and bytes, whatever its command is called", () => {
  const fields = [..."0".repeat(10)].join(" ");
  const files = {
    "self/stat": `7 (a) b) S ${fields} 30 12 5 6 20 0 9 0 5 4096 2\n`,
    "self/status": "Name:\ta) b\nVmRSS:\t 8 kB\n",
  };
  withProc(files, (procRoot) => {
    const text = renderMetrics(1, { procRoot, filesystems: () => [] });
    assert.match(text, /^kata_agent_total_time 0\.42$/m);
    assert.match(text, /^kata_agent_threads 9$/m);
    assert.match(text, /^kata_agent_total_vm 4096$/m);
    assert.match(text, /^kata_agent_total_rss 8192$/m);
    assert.match(text, /^kata_agent_proc_status\{item="vmrss"\} 8$/m);
    const times = [...text.matchAll(/^kata_agent_proc_stat\{item="(\w+)"\} (\d+)$/gm)].map((
      [, name, ticks],
    ) => [name, ticks]);
    assert.deepEqual(times, [["utime", "30"], ["stime", "12"], ["cutime", "5"], ["cstime", "6"]]);
  });
});

Deno.test("renderMetrics() escapes label values", () => {
  withProc({}, (procRoot) => {
    const room = { total: 3n, used: 1n, available: 2n };
    const filesystems = () => [{ mount: '/a"b\\c', device: "/dev/vda", bytes: room, inodes: room }];
    const text = renderMetrics(1, { procRoot, filesystems });
    assert.ok(text.includes('kata_guest_filesystem_bytes{mount="/a\\"b\\\\c",device="/dev/vda",item="used"} 1\n'));
  });
});
