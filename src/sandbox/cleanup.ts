/** Taking away what a crashed shim left, knowing nothing but the sandbox's id. @module */
import { retry } from "../base/async.ts";
import { verifyId } from "../base/id.ts";
import type { Logger } from "../base/log.ts";
import { killRecorded, startTime } from "../hypervisor/process/pid_file.ts";
import { removePath } from "../linux/fs/remove_tree.ts";
import { removeHostCgroups } from "../resources/cgroup.ts";
import { removeShared } from "../resources/share_fs.ts";
import { readState, verifyRunDir } from "./persist.ts";
import type { SandboxRoots } from "./roots.ts";

/** After SIGKILL a process is gone as soon as the kernel is done with it. */
const KILLED_MS = 2_000;

/**
 * Ends the sandbox's processes, unmounts and removes its directories. A part that is not there is no error (B38).
 *
 * @throws The parts that could not be removed; the others are. Nothing is done, but a KataError thrown, for an invalid
 * id (INVALID_ARGUMENT), and if other users could have written there which processes to end (PERMISSION_DENIED).
 */
export async function cleanUpSandbox(id: string, { roots, log }: { roots: SandboxRoots; log: Logger }): Promise<void> {
  const runDir = `${roots.run}/${verifyId(id, "sandbox")}`;
  verifyRunDir(runDir);
  await using cleanup = new AsyncDisposableStack();
  // Last first. A shim that hangs is ended before the rest, or it would clean up at the same time.
  cleanup.defer(() => removePath(runDir));
  cleanup.defer(() => removeShared(`${roots.shared}/${id}`));
  const { cgroups = [] } = readState(runDir) ?? {};
  cleanup.defer(() => removeHostCgroups(cgroups));
  cleanup.defer(async () => {
    const killed = await killRecorded(runDir);
    if (killed.length > 0) log.info("Killed what a shim left behind", { sandbox: id, processes: killed });
  });
  cleanup.defer(() => killShim(runDir));
}

/** Whether the shim that made the sandbox still runs. */
export function hasShim(runDir: string): boolean {
  const shim = readState(runDir)?.shim;
  return shim !== undefined && startTime(shim.pid) === shim.startTime;
}

async function killShim(runDir: string): Promise<void> {
  const shim = readState(runDir)?.shim;
  if (shim === undefined || shim.pid === Deno.pid || !hasShim(runDir)) return;
  Deno.kill(shim.pid, "SIGKILL");
  await retry(() => {
    if (hasShim(runDir)) throw new Error(`Cannot kill shim ${shim.pid} within ${KILLED_MS} ms`);
  }, { signal: AbortSignal.timeout(KILLED_MS), everyMs: 10 });
}
