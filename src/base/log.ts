/**
 * One JSON object per line and record, with Kata's field names (`msg`, `level`, `ts`, `name`, `subsystem`, `source`,
 * `pid`), written to a sink that the program chooses: system log, containerd's fifo, a vsock port.
 *
 * @module
 */
import { errorChain } from "./error.ts";
import { LogRate } from "./log_rate.ts";
import { cutText } from "./text.ts";

/** Severity, least first. `level` in the record is the upper-case form that Kata's agent writes. */
export const LEVELS = ["trace", "debug", "info", "warning", "error", "critical"] as const;
export type Level = typeof LEVELS[number];

/** Values beside the message, by name. */
export type Fields = Readonly<Record<string, unknown>>;

/** A log, by severity: the record is written if its severity is at least the log's level. */
export interface Logger {
  /** For every step, as of a loop. */
  trace(message: string, fields?: Fields): void;
  /** For those who look for a fault. */
  debug(message: string, fields?: Fields): void;
  /** For the usual events of a sandbox's life. */
  info(message: string, fields?: Fields): void;
  /** For what fails while its user goes on without it. */
  warning(message: string, fields?: Fields): void;
  /** For what ends a container or a sandbox. */
  error(message: string, fields?: Fields): void;
  /** For what ends the program. */
  critical(message: string, fields?: Fields): void;
  /** A logger that adds `fields` to each record; it shares sink and level with this one. */
  child(fields: Fields): Logger;
}

/** Receives one record. `line` is its JSON text without a newline. It must not throw. */
export type LogSink = (line: string, level: Level) => void;

export interface LoggerOptions {
  sink: LogSink;
  level?: Level;
  fields?: Fields;
  now?: () => Date;
  /** Shared by loggers of one sink. */
  rate?: LogRate;
}

/** Most lines of one kind (level and message) in ten seconds; more at the lower levels, which log by request only. */
const MOST_LINES = {
  trace: 10_000,
  debug: 10_000,
  info: 100,
  warning: 100,
  error: 100,
  critical: 100,
} as const satisfies Record<Level, number>;
/** Of one text in a record, and of all of it. */
const TEXT_BYTES = 16 << 10;
const LINE_BYTES = 64 << 10;

const RECORD_LEVEL = {
  trace: "TRCE",
  debug: "DEBG",
  info: "INFO",
  warning: "WARN",
  error: "ERRO",
  critical: "CRIT",
} as const satisfies Record<Level, string>;

/**
 * A logger that bounds its output: lines of one kind by number, the next one then has `suppressed`, the count of lines
 * left out; and each line by length.
 */
export function createLogger(options: LoggerOptions): Logger {
  const { sink, level = "info", fields = {}, now = () => new Date(), rate = new LogRate() } = options;
  const least = LEVELS.indexOf(level);
  const put = (at: Level, message: string, extra: Fields) => {
    const record = { msg: message, level: RECORD_LEVEL[at], ts: now().toISOString(), pid: Deno.pid };
    const line = JSON.stringify({ ...record, ...fields, ...extra }, printable);
    sink(line.length <= LINE_BYTES ? line : JSON.stringify({ ...record, cut: line.length }, printable), at);
  };
  const write = (at: Level) => (message: string, extra: Fields = {}) => {
    if (LEVELS.indexOf(at) < least) return;
    const moment = { now: now().getTime(), most: MOST_LINES[at] };
    const suppressed = rate.admit(`${at} ${kindOf(message, extra)}`, moment);
    if (suppressed === undefined) return;
    for (const silent of rate.takeSilent(moment.now)) put("warning", "Lines of one kind were left out", { ...silent });
    put(at, message, suppressed === 0 ? extra : { ...extra, suppressed });
  };
  return {
    trace: write("trace"),
    debug: write("debug"),
    info: write("info"),
    warning: write("warning"),
    error: write("error"),
    critical: write("critical"),
    child: (more) => createLogger({ sink, level, fields: { ...fields, ...more }, now, rate }),
  };
}

/** Messages are constants, but for the words of another program, which is then named as the `source`. */
function kindOf(message: string, { source }: Fields): string {
  return typeof source === "string" ? source : message;
}

/** Reads a level by any of the names that Kata's configuration and kernel parameters use. */
export function parseLevel(text: string): Level {
  const aliases: Record<string, Level> = { warn: "warning", fatal: "critical", panic: "critical" };
  const name = text.toLowerCase();
  const level = LEVELS.find((known) => known === name) ?? aliases[name];
  if (level === undefined) throw new RangeError(`Cannot use log level "${text}": known are ${LEVELS.join(", ")}`);
  return level;
}

function printable(_key: string, value: unknown): unknown {
  if (value instanceof Error) return cutText(errorChain(value), TEXT_BYTES);
  if (typeof value === "string") return cutText(value, TEXT_BYTES);
  return typeof value === "bigint" ? value.toString() : value;
}
