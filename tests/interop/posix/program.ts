/**
 * Program of the battery that compares file systems. It runs in containers and on the host, and prints one line of JSON:
 *
 * - `cases DIRECTORY`: does each case in a directory of its own, and tells what came of it;
 * - `hold DIRECTORY`: locks, listens and waits there, for ever;
 * - `meet DIRECTORY`: tells what somebody else meets there meanwhile.
 *
 * @module
 */
import { type Cases, errorOf, type Finding } from "./calls.ts";
import { DATA } from "./data.ts";
import { hold, meet } from "./meeting.ts";
import { NAMES } from "./names.ts";
import { RIGHTS } from "./rights.ts";

export const CASES: Cases = { ...NAMES, ...DATA, ...RIGHTS };

function runCases(directory: string): Record<string, Finding> {
  const found: Record<string, Finding> = {};
  for (const [index, [name, act]] of Object.entries(CASES).entries()) {
    const at = `${directory}/case-${index}`;
    Deno.mkdirSync(at);
    Deno.chmodSync(at, 0o755);
    const failed = errorOf(() => found[name] = act(at));
    if (failed !== "ok") found[name] = failed;
  }
  return found;
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

if (import.meta.main) {
  const [mode, directory = ""] = Deno.args;
  if (mode === "cases") print(`FOUND ${JSON.stringify(runCases(directory))}`);
  if (mode === "meet") print(`FOUND ${JSON.stringify(meet(directory))}`);
  if (mode === "hold") {
    using _held = hold(directory);
    print("HOLDING");
    await new Promise(() => setInterval(() => {}, 1_000_000));
  }
}
