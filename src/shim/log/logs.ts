/** Where the shim's log goes: the system log as `kata`, and the fifo in the bundle that containerd reads (B50). @module */
import { createLogger, type Level, type Logger, type LogSink } from "../../base/log.ts";
import { LogRate } from "../../base/log_rate.ts";
import { Fd, O_NONBLOCK, O_RDWR } from "../../linux/io/fd.ts";
import { connectDatagram } from "../../linux/net/datagram.ts";
import { type FormatLine, lossySink } from "./lossy_log.ts";

const IDENTIFIER = "kata";
/** syslog's facility of user programs, times 8. */
const FACILITY = 8;
const SEVERITY = {
  trace: 7,
  debug: 7,
  info: 6,
  warning: 4,
  error: 3,
  critical: 2,
} as const satisfies Record<Level, number>;

export interface ShimLogOptions {
  /** Directory with containerd's fifo `log`. */
  bundle: string;
  /** Sandbox or container. */
  id: string;
  debug: boolean;
  /** Datagram sockets of the system log, best first. */
  systemLogs?: readonly SystemLog[];
}

/** A socket of the system log, and the form of one record on it. */
export interface SystemLog {
  path: string;
  format: FormatLine;
}

/** systemd's journal serves the first one as well, where it runs. */
export const SYSTEM_LOGS: readonly SystemLog[] = [
  { path: "/dev/log", format: (line, level) => formatSyslog(line, level, new Date()) },
  {
    path: "/run/systemd/journal/socket",
    format: (line, level) => `SYSLOG_IDENTIFIER=${IDENTIFIER}\nPRIORITY=${SEVERITY[level]}\nMESSAGE=${line}\n`,
  },
];

/** A logger, and others with its sinks that let more or less through. */
export interface ShimLog extends Disposable {
  log: Logger;
  at(level: Level): Logger;
}

/** The shim's logger. Sinks that are not there are left out; records that a full one does not take are lost. */
export function openShimLog(options: ShimLogOptions): ShimLog {
  using undo = new DisposableStack();
  const sinks = [openFifo(`${options.bundle}/log`, undo), openSystemLog(options.systemLogs ?? SYSTEM_LOGS, undo)]
    .filter((sink) => sink !== undefined);
  const sink: LogSink = (line, level) => sinks.forEach((each) => each(line, level));
  const fields = { name: "containerd-shim-kata-v2", sandbox: options.id };
  const rate = new LogRate();
  const at = (level: Level) => createLogger({ sink, level, fields, rate });
  const resources = undo.move();
  return { log: at(options.debug ? "debug" : "info"), at, [Symbol.dispose]: () => resources.dispose() };
}

/** As the C library's syslog() writes it to its socket. */
export function formatSyslog(line: string, level: Level, at: Date): string {
  const [, month, day, , time] = /^\w+ (\w+) (\d+) (\d+) ([\d:]+)/.exec(at.toString()) ?? [];
  return `<${FACILITY + SEVERITY[level]}>${month} ${
    String(Number(day)).padStart(2)
  } ${time} ${IDENTIFIER}[${Deno.pid}]: ${line}`;
}

function openFifo(path: string, undo: DisposableStack): LogSink | undefined {
  try {
    // Open for reading too: while containerd restarts nobody else reads, and a write would fail for good.
    const fd = undo.use(Fd.open(path, O_RDWR | O_NONBLOCK));
    return lossySink(fd, (line) => `${line}\n`);
  } catch {
    return undefined;
  }
}

function openSystemLog(candidates: readonly SystemLog[], undo: DisposableStack): LogSink | undefined {
  for (const { path, format } of candidates) {
    try {
      const socket = undo.use(connectDatagram(path));
      return lossySink(socket, format);
    } catch {
      // The next one, or none: a container without a system log is no failure.
    }
  }
  return undefined;
}
