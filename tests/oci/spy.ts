/**
 * Program of a container's process that looks for other people's secrets. Run inside a pid namespace, with a /proc of
 * it and the rights that a container has: `deno run -A spy.ts MARK FILE`.
 *
 * It looks at every process that comes, as fast as it can, for MARK in memory and environment, for a right that no
 * container has, and for the way to FILE through root, working directory and descriptors. Each thing found is a line; end of stdin ends it.
 */
const [mark = "", file = ""] = Deno.args;
const CAP_SYS_ADMIN = 1n << 21n;
const needle = new TextEncoder().encode(mark);
const isKnown = new Set<string>(pids());
const found = new Set<string>();
const seen = new Set<string>();

function pids(): string[] {
  return [...Deno.readDirSync("/proc")].map(({ name }) => name).filter((name) => /^\d+$/.test(name));
}

function attempt<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined; // gone, or not ours to see
  }
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

function tell(pid: string, what: string): void {
  const line = `${pid} ${what}`;
  if (found.has(line)) return;
  found.add(line);
  print(line);
}

function holds(bytes: Uint8Array): boolean {
  for (let at = bytes.indexOf(needle[0]!); at >= 0; at = bytes.indexOf(needle[0]!, at + 1)) {
    if (needle.every((byte, index) => bytes[at + index] === byte)) return true;
  }
  return false;
}

/** The stack first, where the environment is. */
function searchMemory(pid: string): void {
  const lines = attempt(() => Deno.readTextFileSync(`/proc/${pid}/maps`).trim().split("\n")) ?? [];
  const regions = lines.filter((line) => / rw/.test(line)).reverse();
  using memory = attempt(() => Deno.openSync(`/proc/${pid}/mem`));
  if (memory === undefined) return;
  for (const line of regions) {
    const [start = 0, end = 0] = line.split(" ")[0]!.split("-").map((word) => parseInt(word, 16));
    if (end - start > 8 << 20) continue;
    const bytes = new Uint8Array(end - start);
    const count = attempt(() => {
      memory.seekSync(start, Deno.SeekMode.Start);
      return memory.readSync(bytes);
    });
    if (count && holds(bytes)) tell(pid, "memory: mark");
  }
}

function look(pid: string): void {
  if (!seen.has(pid)) print(`${pid} seen`);
  seen.add(pid);
  for (const link of ["root", "cwd"]) {
    if (attempt(() => Deno.statSync(`/proc/${pid}/${link}${file}`))) tell(pid, `${link}: file`);
    // A root binds its own process only: who looks from outside climbs as far as mounts have parents.
    if (attempt(() => Deno.statSync(`/proc/${pid}/${link}${"/..".repeat(16)}${file}`))) {
      tell(pid, `above ${link}: file`);
    }
  }
  for (const { name } of attempt(() => [...Deno.readDirSync(`/proc/${pid}/fd`)]) ?? []) {
    if (attempt(() => Deno.statSync(`/proc/${pid}/fd/${name}${file}`))) tell(pid, "descriptor: file");
  }
  // What opens the container's proc has that right, under a filter which lets it do nothing else.
  const status = attempt(() => Deno.readTextFileSync(`/proc/${pid}/status`)) ?? "";
  const [, rights = "0"] = /^CapPrm:\s*(.*)$/m.exec(status) ?? [];
  const isOpener = /^Seccomp:\s*2$/m.test(status) && /^NoNewPrivs:\s*1$/m.test(status);
  if (!isOpener && (BigInt(`0x${rights}`) & CAP_SYS_ADMIN) !== 0n) tell(pid, "rights: CAP_SYS_ADMIN");
  if (/^Seccomp:\s*0$/m.test(status)) tell(pid, "filter: none");
  if (attempt(() => holds(Deno.readFileSync(`/proc/${pid}/environ`)))) tell(pid, "environment: mark");
  searchMemory(pid);
}

let isOver = false;
void Deno.stdin.read(new Uint8Array(1)).then(() => isOver = true);
print("ready");
while (!isOver) {
  for (const pid of pids()) if (!isKnown.has(pid)) look(pid);
  await new Promise((resolve) => setTimeout(resolve, 0));
}
