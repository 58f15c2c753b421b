/**
 * How many files of the share a guest may know: virtiofsd holds a descriptor for each until the guest forgets it. Handles
 * in their place would need a right by which the daemon could open any file of the host.
 *
 * @module
 */
import type { Logger } from "../../base/log.ts";

/** Files of a package tree or two, which any guest may look at. */
const FEW = 100_000;
const CAP_SYS_RESOURCE = 24n;

/** Says once for a sandbox that its guest may know few files only: with none left, each look fails with ENFILE. */
export function warnOfFewFiles(log: Logger, limit: number = mostFiles()): void {
  if (limit >= FEW) return;
  log.warning(
    "A guest that looks at more shared files at once than this process may open gets no others (ENFILE): raise the limit " +
      "of open files of the container engine (LimitNOFILE of its service)",
    { limit },
  );
}

/** The limit of open files of a daemon that we start: it raises its own, where we may. Infinity: there is none. */
function mostFiles(): number {
  const rights = /^CapEff:\s*([0-9a-f]+)$/m.exec(Deno.readTextFileSync("/proc/self/status"))?.[1] ?? "0";
  if ((BigInt(`0x${rights}`) >> CAP_SYS_RESOURCE & 1n) === 1n) return Infinity;
  return hardLimit(Deno.readTextFileSync("/proc/self/limits"));
}

/** Reads the table of `/proc/PID/limits`. */
export function hardLimit(table: string): number {
  const [, limit = "unlimited"] = /^Max open files\s+\S+\s+(\S+)/m.exec(table) ?? [];
  return limit === "unlimited" ? Infinity : Number(limit);
}
