/** Clocks of a time namespace, moved before any process is in it. @module */
import type { Linux } from "../spec/spec.ts";

type TimeOffsets = NonNullable<Linux["timeOffsets"]>;

/** Lines of `/proc/PID/timens_offsets`. @see https://man7.org/linux/man-pages/man7/time_namespaces.7.html */
export function formatTimeOffsets(offsets: TimeOffsets): { clock: string; line: string }[] {
  return Object.entries(offsets).map(([clock, { secs = 0, nanosecs = 0 }]) => ({
    clock,
    line: `${clock} ${secs} ${nanosecs}`,
  }));
}

/** Moves the clocks of the time namespace that the children of a process will be in. */
export function writeTimeOffsets(pid: number, offsets: TimeOffsets): void {
  for (const { clock, line } of formatTimeOffsets(offsets)) {
    try {
      Deno.writeTextFileSync(`/proc/${pid}/timens_offsets`, line);
    } catch (cause) {
      throw new Error(`Cannot set offset of clock ${clock}`, { cause });
    }
  }
}
