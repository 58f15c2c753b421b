/**
 * What a process of a container does that wants another file system in the place of a proc. Run inside a pid namespace,
 * with a /proc of it and the right to trace: `deno run -A exchange.ts TYPE FILE`.
 *
 * It stops the next process that appears before that does anything, and puts TYPE where it has "proc" in its memory. A line
 * says that it has, another one if the way to FILE leads up from the process' root or working directory.
 */
import { SIGNALS } from "../../src/linux/process/signal.ts";

const [type = "", file = ""] = Deno.args;
/** Where strings of steps begin. */
const ALIGNMENT = 16;
const encoder = new TextEncoder();
const wanted = encoder.encode("proc\0");

const libc = Deno.dlopen("libc.so.6", { kill: { parameters: ["i32", "i32"], result: "i32" } });

function print(line: string): void {
  Deno.stdout.writeSync(encoder.encode(`${line}\n`));
}

/** @returns How many there were. */
function exchange(pid: number): number {
  using memory = Deno.openSync(`/proc/${pid}/mem`, { read: true, write: true });
  let count = 0;
  for (const line of Deno.readTextFileSync(`/proc/${pid}/maps`).trim().split("\n")) {
    if (!/ rw/.test(line)) continue;
    const [start = 0, end = 0] = line.split(" ")[0]!.split("-").map((word) => parseInt(word, 16));
    const bytes = new Uint8Array(end - start);
    memory.seekSync(start, Deno.SeekMode.Start);
    const length = memory.readSync(bytes) ?? 0;
    for (let at = 0; at < length; at += ALIGNMENT) {
      if (!wanted.every((byte, index) => bytes[at + index] === byte)) continue;
      memory.seekSync(start + at, Deno.SeekMode.Start);
      memory.writeSync(encoder.encode(`${type}\0`));
      count++;
    }
  }
  return count;
}

/** A root binds its own process only: who looks from outside climbs as far as mounts have parents. */
function lookUp(pid: number): void {
  for (const link of ["root", "cwd"]) {
    try {
      Deno.statSync(`/proc/${pid}/${link}${"/..".repeat(16)}${file}`);
      print(`found ${link}`);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

function lastPid(): number {
  return Number(Deno.readTextFileSync("/proc/sys/kernel/ns_last_pid"));
}

/** Once no thread of our own is to come any more, which would take that pid. */
async function nextPid(): Promise<number> {
  for (let last = -1; last !== lastPid();) {
    last = lastPid();
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  return lastPid() + 1;
}

const LIMIT_MS = 5_000;
const next = await nextPid();
print("ready");
const end = Date.now() + LIMIT_MS;
while (libc.symbols.kill(next, SIGNALS.SIGSTOP) !== 0) if (Date.now() > end) throw new Error("Nobody came");
while (!/^State:\tT/m.test(Deno.readTextFileSync(`/proc/${next}/status`)));
lookUp(next);
print(`exchanged ${exchange(next)}`);
libc.symbols.kill(next, SIGNALS.SIGCONT);
