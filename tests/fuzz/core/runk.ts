/** The engine by its command line, as a real process. @module */
import { findFault } from "./faults.ts";
import { hold } from "./target.ts";

const RUNK = Deno.env.get("RUNTIME") ?? new URL("../../../dist/runk", import.meta.url).pathname;
const SIGNALS_FROM = 128;
/** How an exec that could not be begun ends. */
const FAILED = 255;

/**
 * @returns What it said if it failed; undefined if it did not.
 * @throws {Broken} It came to a bad end, or its words are the mark of a programming fault.
 */
export async function callRunk(args: readonly string[]): Promise<string | undefined> {
  if (args.some((word) => word.includes("\0"))) return "no command line holds a NUL";
  // A file, as a container that runs on would hold a pipe open.
  const log = Deno.makeTempFileSync({ prefix: "kata-fuzz-runk-" });
  using stack = new DisposableStack();
  stack.defer(() => Deno.removeSync(log));
  const command = ["-c", 'log=$1; shift; exec "$@" 2>"$log"', "sh", log, RUNK, ...args];
  const { code, signal } = await new Deno.Command("sh", {
    args: command,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  })
    .spawn().status;
  const words = messageOf(Deno.readTextFileSync(log));
  hold(
    signal === null && (code < SIGNALS_FROM || code === FAILED),
    `runk ${args.join(" ")} ends by itself, not by ${signal ?? code}: ${words}`,
  );
  if (code === 0) return undefined;
  // A message is a chain of causes, as the error was.
  const chain = words.split(": ").reduceRight<Error | undefined>(
    (cause, text) => new Error(text, { cause }),
    undefined,
  );
  hold(findFault(chain) === undefined, `runk ${args.join(" ")} refuses in words: ${words}`);
  return words;
}

/** Of a line of the log, what it says. */
function messageOf(line: string): string {
  const [, quoted] = /\bmsg=("(?:[^"\\]|\\.)*")/.exec(line) ?? [];
  try {
    return quoted === undefined ? line : JSON.parse(quoted);
  } catch {
    return line;
  }
}
