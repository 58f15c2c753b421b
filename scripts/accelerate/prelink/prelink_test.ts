import assert from "node:assert/strict";
import { drawBase, prelink } from "./prelink.ts";

const X86_64 = 62;
const AARCH64 = 183;
/** Position-independent, with symbols, jump slots and thread-local storage of its C library. */
const PROGRAM = "/bin/cat";

/** Runs a program that was moved to `base`, on this process's own architecture. */
async function runAt(base: bigint, args: string[], env: Record<string, string> = {}): Promise<string> {
  const directory = await Deno.makeTempDir();
  try {
    const file = await Deno.readFile(PROGRAM);
    prelink(file, base);
    await Deno.writeFile(`${directory}/program`, file, { mode: 0o755 });
    return await output(`${directory}/program`, args, env);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function output(program: string, args: string[], env: Record<string, string> = {}): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args, env }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
}

const OWN_MACHINE = Deno.build.arch === "x86_64" ? X86_64 : AARCH64;

Deno.test("a prelinked program runs, and lies where it was put", async () => {
  const base = drawBase(OWN_MACHINE);
  const [first] = (await runAt(base, ["/proc/self/maps"])).split("-");
  assert.equal(BigInt(`0x${first}`), base);
});

Deno.test("the dynamic linker has nothing to move in a prelinked program", async () => {
  const env = { LD_DEBUG: "statistics" };
  const moved = (text: string) => Number(/number of relative relocations: (\d+)/.exec(text)?.[1]);
  const plain = moved(await output(PROGRAM, ["/dev/null"], env));
  const prelinked = moved(await runAt(drawBase(OWN_MACHINE), ["/dev/null"], env));
  assert.ok(plain > prelinked, `${plain} as it was, ${prelinked} prelinked`);
});

Deno.test("places are page-aligned, in user space, and drawn anew each time", () => {
  for (const [machine, page, limit] of [[X86_64, 0x1000n, 1n << 47n], [AARCH64, 0x10000n, 1n << 39n]] as const) {
    const places = Array.from({ length: 20 }, () => drawBase(machine));
    assert.ok(places.every((place) => place % page === 0n && place + (1n << 30n) < limit));
    assert.ok(new Set(places).size > 15);
  }
});

Deno.test("what is no position-independent program is refused", async () => {
  const text = new TextEncoder().encode("#!/bin/sh\necho this is long enough to hold the header of an ELF file\n");
  assert.throws(() => prelink(text, 0x1000n), /no position-independent program/);
  assert.throws(() => prelink(new Uint8Array(), 0x1000n), /no position-independent program/);
  const twice = await Deno.readFile(PROGRAM);
  prelink(twice, 0x4000_0000_0000n);
  assert.throws(() => prelink(twice, 0x1000n), /no position-independent program/);
  const foreign = await Deno.readFile(PROGRAM);
  foreign[18] = 8;
  assert.throws(() => prelink(foreign, 0x1000n), /machine 8 is unknown/);
});
