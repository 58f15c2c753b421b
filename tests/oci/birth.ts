/** Catching a process of the same pid namespace at its birth, before it has done anything. @module */
import { SIGNALS } from "../../src/linux/process/signal.ts";

const libc = Deno.dlopen("libc.so.6", { kill: { parameters: ["i32", "i32"], result: "i32" } });

function lastPid(): number {
  return Number(Deno.readTextFileSync("/proc/sys/kernel/ns_last_pid"));
}

/** Waits until no thread of our own is to come any more, which would take that pid. @returns The pid of the next process. */
export async function nextPid(): Promise<number> {
  for (let last = -1; last !== lastPid();) {
    last = lastPid();
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  return lastPid() + 1;
}

const LIMIT_MS = 30_000;
const TRIES_BETWEEN_LOOKS = 1_000;

/** Waits for a process, with the whole program at it. @returns Once it has stopped. */
export function stopAtBirth(pid: number): void {
  const end = Date.now() + LIMIT_MS;
  for (let tries = 1; libc.symbols.kill(pid, SIGNALS.SIGSTOP) !== 0; tries++) {
    if (tries % TRIES_BETWEEN_LOOKS !== 0) continue;
    if (lastPid() >= pid) {
      // It came between two looks, and may be gone again.
      libc.symbols.kill(pid, SIGNALS.SIGSTOP);
      break;
    }
    if (Date.now() > end) throw new Error("Nobody came");
  }
  while (!/^State:\t[Tt]/m.test(Deno.readTextFileSync(`/proc/${pid}/status`))) {
    if (Date.now() > end) throw new Error("It came, and would not stop");
  }
}

export function goOn(pid: number): void {
  libc.symbols.kill(pid, SIGNALS.SIGCONT);
}
