/**
 * Program of a container's process that wants another file system in the place of a proc. Run inside a pid namespace,
 * with a /proc of it and the right to trace: `deno run -A exchange.ts TYPE FILE`.
 *
 * It stops the next process that appears before that does anything, and puts TYPE where it has "proc" in its memory. A line
 * says that it has, another one if the way to FILE leads up from the process' root or working directory.
 */
import { goOn, nextPid, stopAtBirth } from "./birth.ts";

const [type = "", file = ""] = Deno.args;
/** Where strings of steps begin. */
const ALIGNMENT = 16;
const encoder = new TextEncoder();
const wanted = encoder.encode("proc\0");

function print(line: string): void {
  Deno.stdout.writeSync(encoder.encode(`${line}\n`));
}

/** @returns How many there were. */
function exchange(pid: number): number {
  using memory = Deno.openSync(`/proc/${pid}/mem`, { read: true, write: true });
  let count = 0;
  for (const line of Deno.readTextFileSync(`/proc/${pid}/maps`).trim().split("\n")) {
    if (!/ rw/.test(line)) continue;
    const [start = 0, end = 0] = line.split(" ")[0]!.split("-").map((word) => parseInt(word, 16));
    const bytes = new Uint8Array(end - start);
    memory.seekSync(start, Deno.SeekMode.Start);
    const length = memory.readSync(bytes) ?? 0;
    for (let at = 0; at < length; at += ALIGNMENT) {
      if (!wanted.every((byte, index) => bytes[at + index] === byte)) continue;
      memory.seekSync(start + at, Deno.SeekMode.Start);
      memory.writeSync(encoder.encode(`${type}\0`));
      count++;
    }
  }
  return count;
}

/** A root binds its own process only: who looks from outside climbs as far as mounts have parents. */
function lookUp(pid: number): void {
  for (const link of ["root", "cwd"]) {
    const names = [...Deno.readDirSync(`/proc/${pid}/${link}/`)].map(({ name }) => name);
    if (names.length > 0) print(`found in ${link}: ${names}`);
    try {
      Deno.statSync(`/proc/${pid}/${link}${"/..".repeat(16)}${file}`);
      print(`found ${link}`);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

const next = await nextPid();
print("ready");
stopAtBirth(next);
lookUp(next);
print(`exchanged ${exchange(next)}`);
goOn(next);
