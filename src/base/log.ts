/**
 * One JSON object per line and record, with Kata's field names (`msg`, `level`, `ts`, `name`, `subsystem`, `source`,
 * `pid`), written to a sink that the program chooses: system log, containerd's fifo, a vsock port.
 *
 * @module
 */
import { errorChain } from "./error.ts";

/** Severity, least first. `level` in the record is the upper-case form that Kata's agent writes. */
export const LEVELS = ["trace", "debug", "info", "warning", "error", "critical"] as const;
export type Level = typeof LEVELS[number];

export type Fields = Readonly<Record<string, unknown>>;

export interface Logger {
  trace(message: string, fields?: Fields): void;
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warning(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
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
}

const RECORD_LEVEL = {
  trace: "TRCE",
  debug: "DEBG",
  info: "INFO",
  warning: "WARN",
  error: "ERRO",
  critical: "CRIT",
} as const satisfies Record<Level, string>;

export function createLogger({ sink, level = "info", fields = {}, now = () => new Date() }: LoggerOptions): Logger {
  const least = LEVELS.indexOf(level);
  const write = (at: Level) => (message: string, extra: Fields = {}) => {
    if (LEVELS.indexOf(at) < least) return;
    const record = {
      msg: message,
      level: RECORD_LEVEL[at],
      ts: now().toISOString(),
      pid: Deno.pid,
      ...fields,
      ...extra,
    };
    sink(JSON.stringify(record, printable), at);
  };
  return {
    trace: write("trace"),
    debug: write("debug"),
    info: write("info"),
    warning: write("warning"),
    error: write("error"),
    critical: write("critical"),
    child: (more) => createLogger({ sink, level, fields: { ...fields, ...more }, now }),
  };
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
  if (value instanceof Error) return errorChain(value);
  return typeof value === "bigint" ? value.toString() : value;
}
