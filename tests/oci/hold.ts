/**
 * Hold of a process: what another of its container does to keep it from going on. Run inside a pid namespace, with a /proc of it and
 * the right to trace: `deno run -A hold.ts HOW`.
 *
 * It stops the next process that appears before that does anything. `stop` leaves it so. `trace` traces it, and `keep` also
 * keeps it from its end. `copy` takes copies of all that it writes to, and lets it go on. Then a line says "held", and all
 * lasts until stdin ends. With a second word it is the process of that pid, which is there already.
 */
import { goOn, nextPid, stopAtBirth } from "./birth.ts";

const [PTRACE_SEIZE, PTRACE_O_TRACEEXIT] = [0x4206n, 0x40n];
const [how = "", there] = Deno.args;

const libc = Deno.dlopen("libc.so.6", {
  ptrace: { parameters: ["i64", /* request */ "i64", /* pid */ "i64", /* addr */ "i64" /* data */], result: "i64" },
});

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

function copyAll(pid: number): Deno.FsFile[] {
  const files: Deno.FsFile[] = [];
  for (const { name } of Deno.readDirSync(`/proc/${pid}/fd`)) {
    try {
      files.push(Deno.openSync(`/proc/${pid}/fd/${name}`, { write: true }));
    } catch {
      // For reading only.
    }
  }
  return files;
}

const next = there === undefined ? await nextPid() : Number(there);
print("ready");
stopAtBirth(next);
if (how === "trace" || how === "keep") {
  const options = how === "keep" ? PTRACE_O_TRACEEXIT : 0n;
  if (libc.symbols.ptrace(PTRACE_SEIZE, BigInt(next), 0n, options) !== 0n) throw new Error("Cannot trace it");
}
const copies = how === "copy" ? copyAll(next) : [];
if (how === "copy") goOn(next);
print("held");
await Deno.stdin.read(new Uint8Array(1));
for (const file of copies) file.close();
goOn(next);
