/** The log that go-runc, Docker and Podman read back: `--log FILE --log-format text|json`. @module */
import { plainText } from "../../base/text.ts";
import { createLogger, type Level, type Logger } from "../../base/log.ts";

export interface LogOptions {
  /** Absent: stderr, where the error of a failed command is shown anyway, by who ends it. */
  file: string | undefined;
  format: string;
  debug: boolean;
}

/** Levels in logrus's words. */
const NAMES: Record<Level, string> = {
  trace: "trace",
  debug: "debug",
  info: "info",
  warning: "warning",
  error: "error",
  critical: "fatal",
};

/**
 * Appends to the file, because several commands of one container share it.
 *
 * @throws {RangeError} An unknown format. @throws {Error} The file cannot be opened.
 */
export function openLog({ file, format, debug }: LogOptions): Logger {
  if (format !== "text" && format !== "json") throw new RangeError(`invalid log-format: "${format}"`);
  const level = debug ? "debug" : "info";
  if (file === undefined || file === "") return createLogger({ sink: showLine, level });
  const target = openForAppend(file);
  return createLogger({
    level,
    sink(line, at) {
      const { msg } = JSON.parse(line) as { msg: string };
      target.writeSync(new TextEncoder().encode(format === "json" ? jsonLine(msg, at) : textLine(msg, at)));
    },
  });
}

function showLine(line: string, at: Level): void {
  if (at === "error") return;
  const { msg } = JSON.parse(line) as { msg: string };
  Deno.stderr.writeSync(new TextEncoder().encode(textLine(plainText(msg), at)));
}

function openForAppend(file: string): Deno.FsFile {
  try {
    return Deno.openSync(file, { append: true, create: true, mode: 0o644 });
  } catch (cause) {
    throw new Error(`Cannot open log "${file}"`, { cause });
  }
}

function jsonLine(msg: string, level: Level): string {
  return `${JSON.stringify({ level: NAMES[level], msg, time: new Date().toISOString() })}\n`;
}

/** One record in logrus's text form. */
export function textLine(msg: string, level: Level): string {
  const time = new Date().toISOString().replace(/\.\d+Z$/, "Z");
  return `time="${time}" level=${NAMES[level]} msg=${JSON.stringify(msg)}\n`;
}
