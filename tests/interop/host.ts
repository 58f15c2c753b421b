/** What stands on the machine: processes, files, and waiting for them. @module */
/** Long enough for what is on its way. */
const USUAL_MS = 20_000;

/** Processes whose command line names a program and a sandbox. */
export function processesOf(program: string, sandboxId: string): readonly number[] {
  const isOf = (line: string) => line.includes(program) && line.includes(sandboxId) && !line.includes("ctr ");
  return list("/proc").filter((pid) => commandOf(pid).some(isOf)).map(Number);
}

/** Waits until something is so. @throws {Error} It is not within `ms`. */
export async function until(isSo: () => boolean | Promise<boolean>, { ms = USUAL_MS } = {}): Promise<void> {
  for (const begin = performance.now(); !(await isSo());) {
    if (performance.now() - begin > ms) throw new Error(`Cannot see within ${ms} ms: ${isSo}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Command line of a process; nothing if it is gone. */
export function commandOf(pid: string): readonly string[] {
  try {
    return /^\d+$/.test(pid) ? [Deno.readTextFileSync(`/proc/${pid}/cmdline`).replaceAll("\0", " ")] : [];
  } catch {
    return [];
  }
}

/** Names in a directory; none if there is no such. */
export function list(path: string): readonly string[] {
  try {
    return [...Deno.readDirSync(path)].map(({ name }) => name);
  } catch {
    return [];
  }
}
