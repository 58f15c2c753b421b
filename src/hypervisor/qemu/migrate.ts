/** Saving the state of a VM that is paused, and loading it into another QEMU. Memory is not in it, as both share a file. @module */
import type { Fd } from "../../linux/io/fd.ts";
import type { Qmp, QmpEvent } from "./qmp/qmp.ts";

/** Under this name QEMU knows the file. */
const STATE = "state";
/** Half a megabyte, without any memory. */
const STATE_MS = 10_000;

/** @param state Open for writing. */
export async function saveState(qmp: Qmp, state: Fd): Promise<void> {
  await migrate(qmp, "migrate", { state, signal: AbortSignal.timeout(STATE_MS) });
}

/** Loads a state into a QEMU that was started with `-incoming defer`. @param state Open for reading, at its start. */
export async function loadState(qmp: Qmp, state: Fd, signal: AbortSignal): Promise<void> {
  await migrate(qmp, "migrate-incoming", { state, signal: AbortSignal.any([signal, AbortSignal.timeout(STATE_MS)]) });
}

async function migrate(
  qmp: Qmp,
  command: "migrate" | "migrate-incoming",
  { state, signal }: { state: Fd; signal: AbortSignal },
): Promise<void> {
  const capabilities = ["events", "x-ignore-shared"].map((capability) => ({ capability, state: true }));
  await qmp.execute("migrate-set-capabilities", { capabilities }, { signal });
  await qmp.sendFd(STATE, state);
  const finished = qmp.waitFor(isEnd, signal);
  const [{ data: { status } }] = await Promise.all([
    finished,
    qmp.execute(command, { uri: `fd:${STATE}` }, { signal }),
  ]);
  if (status !== "completed") throw new Error(`${command} ${status}`);
}

function isEnd({ event, data }: QmpEvent): boolean {
  return event === "MIGRATION" && ["completed", "failed", "cancelled"].includes(String(data.status));
}
