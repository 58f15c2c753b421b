/**
 * Knowledge of QEMU about a machine whose guest says nothing. What its drivers have set up would say more, but asking for it
 * (`x-query-virtio-status`) ends a QEMU of version 11.
 *
 * @module
 */
import { systemClock } from "../../../base/clock.ts";
import { processorState, runState } from "./answers.ts";
import type { Qmp } from "./qmp.ts";

/** For all questions together. */
const ANSWER_MS = 3_000;
/** A guest that waits for an interrupt moves rarely. */
const LOOKS = 5;
const EVERY_MS = 100;

/** @param proc The process's directory in `/proc`. */
export async function diagnose(qmp: Qmp, { proc }: { proc: string }): Promise<string> {
  const signal = AbortSignal.timeout(ANSWER_MS);
  const questions = [askState(qmp, signal), askProcessor(qmp, signal), Promise.try(() => memoryInUse(proc))];
  const answers = await Promise.allSettled(questions);
  const known = answers.flatMap((answer) => answer.status === "fulfilled" ? [answer.value] : []);
  return known.length === 0 ? "its monitor does not answer" : known.join(", ");
}

async function askState(qmp: Qmp, signal: AbortSignal): Promise<string> {
  return `the machine is ${runState(await qmp.execute("query-status", {}, { signal }))}`;
}

async function askProcessor(qmp: Qmp, signal: AbortSignal): Promise<string> {
  const look = async () =>
    processorState(await qmp.execute("human-monitor-command", { "command-line": "info registers" }, { signal }));
  const first = await look();
  let last = first;
  for (let looks = 1; looks < LOOKS && last.pointer === first.pointer; looks++) {
    await systemClock.sleep(EVERY_MS, signal);
    last = await look();
  }
  const place = `at 0x${last.pointer}`;
  if (last.pointer !== first.pointer) return `its processor moves (last ${place})`;
  return last.isHalted ? `its processor waits for an interrupt ${place}` : `its processor stands still ${place}`;
}

/** Says how far a guest came: the kernel alone takes some 50 MiB. */
function memoryInUse(proc: string): string {
  const kib = Number(/^RssShmem:\s+(\d+) kB$/m.exec(Deno.readTextFileSync(`${proc}/status`))?.[1]);
  return `${Math.round(kib / 1024)} MiB of its memory are in use`;
}
