/** The kernel's text files: of a host that is like no other, or of a guest's forgery. @module */
import { parseFamilies, renderFamilies } from "../../../src/base/prometheus.ts";
import { enabledControllers } from "../../../src/agent/machine/init.ts";
import { renderMetrics } from "../../../src/agent/machine/metrics.ts";
import { effectiveInitSignal } from "../../../src/agent/container/process_status.ts";
import {
  parseCpuTimes,
  parseDiskstats,
  parseMeminfo,
  parseNetDev,
  parseProcessUsage,
} from "../../../src/linux/process/procfs.ts";
import { parseCgroupMembership } from "../../../src/linux/cgroup/cgroup.ts";
import { readCgroupValue, readFlatKeyed, readNestedKeyed } from "../../../src/linux/cgroup/file.ts";
import { cpuFlags, hasVirtualization } from "../../../src/linux/device/kvm.ts";
import { findMount, mountsBelow, parseMountInfo } from "../../../src/linux/mount/mountinfo.ts";
import { parseProcessStat } from "../../../src/linux/process/process.ts";
import { readCapabilitySet } from "../../../src/oci/security/capabilities.ts";
import { blkioStats } from "../../../src/oci/cgroup/v1/blkio.ts";
import { cpuStats as cpuStatsV1 } from "../../../src/oci/cgroup/v1/cpu.ts";
import { cpusetStats } from "../../../src/oci/cgroup/v1/cpuset.ts";
import { memoryStats as memoryStatsV1 } from "../../../src/oci/cgroup/v1/memory.ts";
import { cpuStats } from "../../../src/oci/cgroup/v2/cpu.ts";
import { ioStats } from "../../../src/oci/cgroup/v2/io.ts";
import { memoryStats } from "../../../src/oci/cgroup/v2/memory.ts";
import { pidsStats } from "../../../src/oci/cgroup/v2/pids.ts";
import { statsToWire } from "../../../src/agent_api/stats_codec.ts";
import { findFault } from "../core/faults.ts";
import { textParsers } from "../core/parsers.ts";
import type { Scratch } from "../core/target.ts";

const MOUNTINFO = [
  "22 1 253:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro",
  "36 35 98:0 /mnt1 /mnt/a\\040b rw,noatime master:1 propagate_from:2 unbindable - fuse.sshfs host:/ rw\n",
].join("\n");
const STATUS = "Name:\tsh\nSigBlk:\t0000000000010000\nSigIgn:\t0000000000384004\nSigCgt:\t0000000000010002\n" +
  "CapPrm:\t000001ffffffffff\nCapBnd:\t000001ffffffffff\n";
const STAT =
  "1234 (a ) b) S 1 1234 1234 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 12345678 1000 100 18446744073709551615\n";
const PROC = {
  meminfo: "MemTotal:       16384 kB\nActive(anon):     12 kB\nHugePages_Total:   0\n",
  stat: "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2 3 4\nintr 12 0 1\nctxt 9\n",
  "net/dev": "Inter-|   Receive\n face |bytes\n  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n",
  diskstats: " 253       0 vda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n",
};
const FIGURES = '# HELP a All\n# TYPE a histogram\na_bucket{le="0.5",x="b\\"\\n"} 1 17\na_sum +Inf\n# x\nb 2e-7\n';
const KEYED = ["anon 4096\nfile 100\ninactive_file 3\n", "usage_usec 12\nnr_periods 0\n"];
const NESTED = ["8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n", "some avg10=0.00 avg60=0.12 total=99\n"];
const COUNTS = ["max\n", "4096\n", "-1", "0-3,7\n"];
const BLKIO = ["8:0 Read 12\n8:0 Write 3\n8:0 Total 15\nTotal 15\n"];

const CGROUP_FILES = [
  "cpu.stat",
  "cpuacct.stat",
  "cpuacct.usage",
  "cpuacct.usage_percpu",
  "cpuset.cpus",
  "cpuset.mems",
  "memory.stat",
  "memory.current",
  "memory.max",
  "memory.usage_in_bytes",
  "memory.limit_in_bytes",
  "memory.oom_control",
  "memory.events",
  "io.stat",
  "io.pressure",
  "cpu.pressure",
  "pids.current",
  "pids.max",
  "blkio.throttle.io_service_bytes_recursive",
  "blkio.throttle.io_serviced_recursive",
  "blkio.io_service_bytes_recursive",
];

/** A group whose files all say this. */
function groupThatSays(text: string, { inside }: Scratch, files = CGROUP_FILES): string {
  for (const file of files) Deno.writeTextFileSync(`${inside}/${file}`, text.toWellFormed());
  return inside;
}

function everyFigure(text: string, scratch: Scratch): void {
  const group = groupThatSays(text, scratch);
  const readers = [memoryStats, ioStats, pidsStats, blkioStats, memoryStatsV1, cpuStats, cpusetStats, cpuStatsOfV1];
  for (const read of readers) {
    try {
      read(group);
    } catch (error) {
      // A refusal of one leaves the others their turn.
      if (findFault(error) !== undefined) throw error;
    }
  }
  const figures = { cpu: cpuStats(group), memory: memoryStats(group), io: ioStats(group), pids: pidsStats(group) };
  statsToWire({ hugetlb: new Map(), ...figures } as unknown as Parameters<typeof statsToWire>[0]);
}

function cpuStatsOfV1(group: string): unknown {
  return cpuStatsV1(group, group);
}

export const kernelFiles = textParsers({
  name: "kernel-files",
  rounds: 1000,
  rows: {
    mountinfo: {
      good: [MOUNTINFO],
      parse(text) {
        const mounts = parseMountInfo(text);
        findMount(mounts, "/mnt");
        mountsBelow(mounts, "/");
      },
    },
    membership: { good: ["0::/a/b\n", "5:cpu,cpuacct:/x\n1:name=systemd:/y:z\n"], parse: parseCgroupMembership },
    value: {
      good: COUNTS,
      parse: (text, scratch) => readCgroupValue(groupThatSays(text, scratch, ["memory.max"]), "memory.max"),
    },
    flat: {
      good: KEYED,
      parse: (text, scratch) => readFlatKeyed(groupThatSays(text, scratch, ["memory.stat"]), "memory.stat"),
    },
    nested: {
      good: NESTED,
      parse: (text, scratch) => readNestedKeyed(groupThatSays(text, scratch, ["io.stat"]), "io.stat"),
    },
    figures: { good: [...KEYED, ...NESTED, ...COUNTS, ...BLKIO], parse: everyFigure },
    stat: { good: [STAT], parse: parseProcessStat },
    usage: { good: [STAT], parse: parseProcessUsage },
    figuresOfGuest: { good: [FIGURES], parse: (text) => parseFamilies(renderFamilies(parseFamilies(text))) },
    status: {
      good: [STATUS],
      parse: (
        text,
      ) => [effectiveInitSignal(15, text), readCapabilitySet(text, "CapPrm"), readCapabilitySet(text, "CapBnd")],
    },
    meminfo: { good: [PROC.meminfo], parse: parseMeminfo },
    cpus: { good: [PROC.stat], parse: parseCpuTimes },
    netdev: { good: [PROC["net/dev"]], parse: parseNetDev },
    diskstats: { good: [PROC.diskstats], parse: parseDiskstats },
    metrics: {
      good: Object.values(PROC),
      parse(text, { inside }) {
        Deno.mkdirSync(`${inside}/proc/net`, { recursive: true });
        Deno.mkdirSync(`${inside}/proc/self`, { recursive: true });
        for (const file of [...Object.keys(PROC), "vmstat", "loadavg", "self/status", "self/stat"]) {
          Deno.writeTextFileSync(`${inside}/proc/${file}`, text.toWellFormed());
        }
        renderMetrics(1, { procRoot: `${inside}/proc`, filesystems: () => [] });
      },
    },
    cpuinfo: {
      good: ["processor\t: 0\nflags\t\t: fpu vmx svm\n"],
      parse: (text) => [hasVirtualization(text), cpuFlags(text)],
    },
    controllers: { good: ["#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t1\t2\t1\n"], parse: enabledControllers },
  },
});
