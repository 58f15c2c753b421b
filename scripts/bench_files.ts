/**
 * Measures small files on a container's root file system, with either virtiofsd and on runc, in turns: part `files` of
 * `scripts/bench`.
 *
 * @module
 */
import { exists } from "../src/base/files.ts";
import { Containerd, processesOf, releases, RUNTIME } from "../tests/interop/containerd.ts";
import { IMAGE } from "../tests/interop/image.ts";
import { C_DAEMON, RUST_DAEMON } from "../tests/support/share_daemon.ts";
import { median, print, row } from "./bench_report.ts";

const ROUNDS = Number(Deno.env.get("BENCH_ROUNDS") ?? 5);
const RUNC = "io.containerd.runc.v2";

/** Work of a shell, which starts no process for each file. */
const WORK = {
  "create and write 300 files": "mkdir /tmp/w; for i in $(seq 300); do echo text >/tmp/w/$i; done",
  "append to each of them": "for i in $(seq 300); do echo more >>/tmp/w/$i; done",
  "list them with all attributes, ten times": "for i in 1 2 3 4 5 6 7 8 9 10; do ls -l /tmp/w >/dev/null; done",
  "read them": "cat /tmp/w/* >/dev/null",
  "write 32 MB by pieces of 4 KB": "dd if=/dev/zero of=/tmp/w/large bs=4k count=8192 2>/dev/null",
  "remove them": "rm -r /tmp/w",
} as const;

interface Way {
  name: string;
  runtime: string;
  daemon?: string;
  /** Without extended attributes, as all were once. */
  bare?: true;
}

const WAYS: readonly Way[] = [
  { name: "runc", runtime: RUNC },
  { name: "QEMU's, bare", runtime: RUNTIME, daemon: C_DAEMON, bare: true },
  { name: "QEMU's", runtime: RUNTIME, daemon: C_DAEMON },
  { name: "Rust, bare", runtime: RUNTIME, daemon: RUST_DAEMON, bare: true },
  { name: "Rust", runtime: RUNTIME, daemon: RUST_DAEMON },
];

/** A container that waits for work. */
interface Worker extends AsyncDisposable {
  way: Way;
  containerd: Containerd;
  id: string;
  times: Record<string, number[]>;
}

async function startWorker(way: Way): Promise<Worker> {
  await using undo = new AsyncDisposableStack();
  const { daemon, bare = false } = way;
  const lines = `virtio_fs_daemon = "${daemon}"\nvirtio_fs_xattr = ${!bare}`;
  const configure = (toml: string) => toml.replace(/^virtio_fs_daemon = .*$/m, lines);
  const containerd = undo.use(await Containerd.start({ release: releases()[0]!, configure }));
  const id = containerd.id("files");
  await containerd.must("run", "-d", "--runtime", way.runtime, IMAGE, id, "sleep", "1000000");
  undo.defer(() => containerd.remove(id));
  const owned = undo.move();
  return { way, containerd, id, times: {}, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Milliseconds of the work alone, by the clock of where it is done. */
async function work({ containerd, id }: Worker, script: string): Promise<number> {
  const timed = `time -p sh -c '${script}'`;
  const { stderr, stdout } = await containerd.ctr(
    "task",
    "exec",
    "--exec-id",
    crypto.randomUUID(),
    id,
    "sh",
    "-c",
    timed,
  );
  const [, seconds] = /^real (.*)$/m.exec(stderr + stdout) ?? [];
  if (seconds === undefined) throw new Error(`Cannot measure "${script}": ${stderr}`);
  return 1000 * Number(seconds);
}

/** Resident memory and open descriptors of the daemon that serves. */
function daemonFigures({ id }: Worker): string {
  const pids = processesOf("/virtiofsd ", id);
  const kib = pids.map((pid) =>
    Number(/^VmRSS:\s*(\d+)/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1] ?? 0)
  );
  return `${(kib.reduce((sum, one) => sum + one, 0) / 1024).toFixed(1)} MiB in ${pids.length} processes`;
}

async function main(): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const workers: Worker[] = [];
  for (const way of WAYS.filter(({ daemon }) => daemon === undefined || exists(daemon))) {
    workers.push(stack.use(await startWorker(way)));
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, script] of Object.entries(WORK)) {
      for (const worker of workers) (worker.times[name] ??= []).push(await work(worker, script));
    }
  }
  const names = workers.map(({ way }) => way.name).join(", ");
  print(`\nSmall files on the root file system, ms (median of ${ROUNDS}): ${names}`);
  for (const name of Object.keys(WORK)) {
    row(name, workers.map(({ times }) => median(times[name]!).toFixed(0).padStart(6)).join(" "));
  }
  for (const worker of workers.slice(1)) row(`resident memory: ${worker.way.name}`, daemonFigures(worker));
}

await main();
