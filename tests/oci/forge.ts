/**
 * Program of a container's process that wants the help of a runtime which starts another beside it. Run inside a pid
 * namespace, with a /proc of it and the right to trace: `deno run -A forge.ts LETTER`.
 *
 * It stops the next process that appears before that does anything, and writes LETTER to its pipe of messages. A line
 * says that there was one.
 */
import { goOn, nextPid, stopAtBirth } from "./birth.ts";

const [letter = ""] = Deno.args;
const encoder = new TextEncoder();
const ACCESS_MODE = 3;

function print(line: string): void {
  Deno.stdout.writeSync(encoder.encode(`${line}\n`));
}

/** Descriptors from 3 on of the pipes that a process writes to. */
function pipes(pid: number): string[] {
  return [...Deno.readDirSync(`/proc/${pid}/fd`)].map(({ name }) => name).filter((name) => {
    if (Number(name) < 3 || !Deno.readLinkSync(`/proc/${pid}/fd/${name}`).startsWith("pipe:")) return false;
    const flags = /^flags:\s*(\d+)$/m.exec(Deno.readTextFileSync(`/proc/${pid}/fdinfo/${name}`))?.[1];
    return (parseInt(flags ?? "0", 8) & ACCESS_MODE) !== 0;
  });
}

const next = await nextPid();
print("ready");
stopAtBirth(next);
// The lower number is that of messages, the other tells a failure. One alone: it has said all by now.
const [first, second] = pipes(next).toSorted((one, other) => Number(one) - Number(other));
if (second !== undefined) {
  using pipe = Deno.openSync(`/proc/${next}/fd/${first}`, { write: true });
  pipe.writeSync(encoder.encode(letter));
  print("forged");
}
goOn(next);
