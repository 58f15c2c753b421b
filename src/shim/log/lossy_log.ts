/** Log lines for a descriptor that never blocks: a log that is full or gone must not stop a container. @module */
import type { Level, LogSink } from "../../base/log.ts";
import type { Fd } from "../../linux/io/fd.ts";

/** The bytes of one record, in the form of that log. */
export type FormatLine = (line: string, level: Level) => string;

const encoder = new TextEncoder();

/** A sink that keeps nothing: what is not taken is lost, and how much is told when something is taken again. */
export function lossySink(fd: Fd, format: FormatLine): LogSink {
  let lost = 0;
  /** The last record was taken in part. */
  let isTorn = false;
  function put(line: string, level: Level): boolean {
    try {
      const bytes = encoder.encode(`${isTorn ? "\n" : ""}${format(line, level)}`);
      isTorn = fd.write(bytes) < bytes.length;
      return !isTorn;
    } catch {
      return false;
    }
  }
  return (line, level) => {
    if (lost > 0 && put(tellLost(lost), "warning")) lost = 0;
    if (!put(line, level)) lost++;
  };
}

function tellLost(lines: number): string {
  const msg = "Lines were lost: the log was full";
  return JSON.stringify({ msg, level: "WARN", ts: new Date().toISOString(), pid: Deno.pid, lines });
}
