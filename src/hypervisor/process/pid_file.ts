/**
 * Records the processes of a VM on disk, so that `delete` after a crashed shim finds and ends them. A pid alone may be
 * another process's by then; with its start time it is not.
 *
 * @module
 */
import { removeIfThere } from "../../base/files.ts";
import { readProcessStat } from "../../linux/process/process.ts";

const SUFFIX = ".pid";
/** Between two looks at a process that is being killed. */
const POLL_MS = 10;
/** A killed process that is still there after this long hangs in the kernel. */
const KILL_TIMEOUT_MS = 5_000;

/**
 * Ticks since boot at which a process started; undefined if there is none, or only its zombie. Of one that was killed, the
 * first thread may be a zombie before the others have left their memory and their cgroups: then it is still there.
 */
export function startTime(pid: number): string | undefined {
  const stat = readProcessStat(pid);
  if (stat === undefined || stat.state === "X" || (stat.state === "Z" && stat.threads <= 1)) return undefined;
  return String(stat.startTime);
}

/** Writes `<directory>/<name>.pid` for a running process; its disposal removes the file. */
export function recordPid(directory: string, { name, pid }: { name: string; pid: number }): Disposable {
  const path = `${directory}/${name}${SUFFIX}`;
  Deno.writeTextFileSync(path, `${pid} ${startTime(pid) ?? 0}\n`);
  return { [Symbol.dispose]: () => removeIfThere(path) };
}

/**
 * Kills all processes that are recorded in a directory and still run, waits for their end and removes the files.
 * Idempotent; a missing directory holds none (B38).
 *
 * @returns Names of those that were killed.
 * @throws {Error} One does not end.
 */
export async function killRecorded(directory: string): Promise<readonly string[]> {
  const killed: string[] = [];
  for (const file of pidFiles(directory)) {
    const [pid, started] = Deno.readTextFileSync(`${directory}/${file}`).trim().split(" ");
    if (started !== undefined && startTime(Number(pid)) === started) {
      await killAndWait(Number(pid), started);
      killed.push(file.slice(0, -SUFFIX.length));
    }
    removeIfThere(`${directory}/${file}`);
  }
  return killed;
}

function pidFiles(directory: string): readonly string[] {
  try {
    return [...Deno.readDirSync(directory)].map(({ name }) => name).filter((name) => name.endsWith(SUFFIX)).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** The process is no child of ours, so there is nobody to wait for: look until it is gone. */
async function killAndWait(pid: number, started: string): Promise<void> {
  try {
    Deno.kill(pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  for (let waitedMs = 0; startTime(pid) === started; waitedMs += POLL_MS) {
    if (waitedMs >= KILL_TIMEOUT_MS) throw new Error(`Cannot kill process ${pid}: it is still there`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
