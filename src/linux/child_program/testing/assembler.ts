/** For tests: assembly sources and the bytes that stand in our code for them, and running those of any architecture. @module */
import assert from "node:assert/strict";
import type { Architecture } from "../syscall_numbers.ts";
import { leftOut } from "../../../base/testing/left_out.ts";

export const ARCHITECTURES = ["x86_64", "aarch64"] as const satisfies readonly Architecture[];

/** Declares a test for each architecture. It is left out where its assembler is missing; `scripts/test` installs both. */
export function testEachAssembler(
  name: (arch: Architecture) => string,
  fn: (arch: Architecture) => Promise<void>,
  { only = ARCHITECTURES }: { only?: readonly Architecture[] } = {},
): void {
  for (const arch of only) {
    const assembler = `${arch}-linux-gnu-as`;
    const test = name(arch);
    const ignore = leftOut({ name: test }, !isInstalled(assembler) && `${assembler} is not installed`);
    Deno.test({ name: test, ignore, fn: () => fn(arch) });
  }
}

/** Declares the tests that machine code is what its source assembles to. */
export function testAssembly(
  name: string,
  { sources, bytes }: { sources: URL; bytes: (arch: Architecture) => Uint8Array },
): void {
  testEachAssembler((arch) => `${name}(${arch}) is what its source assembles to`, async (arch) => {
    const source = await Deno.readTextFile(new URL(`${arch}.s`, sources));
    assert.deepEqual(await assemble(arch, source), bytes(arch));
  });
}

/** @returns The section with the instructions. */
export async function assemble(arch: Architecture, source: string): Promise<Uint8Array> {
  const directory = await Deno.makeTempDir();
  try {
    const [code, object, binary] = ["code.s", "code.o", "code.bin"].map((file) => `${directory}/${file}`) as Three;
    await Deno.writeTextFile(code, source);
    await run(`${arch}-linux-gnu-as`, ["-o", object, code]);
    await run(`${arch}-linux-gnu-objcopy`, ["-O", "binary", "-j", ".text", object, binary]);
    return await Deno.readFile(binary);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

type Three = [string, string, string];

/** Declares a test for each architecture whose programs run here: by an emulator, those of another one. */
export function testEachMachine(
  name: (arch: Architecture) => string,
  fn: (machine: Machine) => Promise<void>,
): void {
  for (const arch of ARCHITECTURES) {
    const emulator = arch === Deno.build.arch ? undefined : `qemu-${arch}`;
    const test = name(arch);
    const isMissing = emulator !== undefined && !isInstalled(emulator);
    Deno.test({
      name: test,
      ignore: leftOut({ name: test }, isMissing && `${emulator} is not installed`),
      fn: () => fn({ arch, prefix: emulator === undefined ? [] : [emulator] }),
    });
  }
}

/** Where programs of an architecture run. */
export interface Machine {
  arch: Architecture;
  /** Words before the program's. */
  prefix: readonly string[];
}

/** Runs a program made of these bytes. */
export async function runProgram(
  bytes: Uint8Array<ArrayBuffer>,
  { prefix }: Pick<Machine, "prefix">,
): Promise<{ code: number; stdout: string }> {
  const path = await Deno.makeTempFile({ prefix: "kata-program-" });
  try {
    await Deno.writeFile(path, bytes);
    await Deno.chmod(path, 0o755);
    const [command = "", ...args] = [...prefix, path];
    const { code, stdout } = await new Deno.Command(command, { args }).output();
    return { code, stdout: new TextDecoder().decode(stdout) };
  } finally {
    await Deno.remove(path);
  }
}

function isInstalled(program: string): boolean {
  return (Deno.env.get("PATH") ?? "").split(":").some((directory) => {
    try {
      return Deno.statSync(`${directory}/${program}`).isFile;
    } catch {
      return false;
    }
  });
}

async function run(program: string, args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
}
