/** For tests: assembly sources and the bytes that stand in our code for them. @module */
import assert from "node:assert/strict";
import type { Architecture } from "../syscall_numbers.ts";
import { leftOut } from "../../../base/testing/left_out.ts";

/** Declares a test for each architecture that an assembler is installed for. */
export function testAssembly(
  name: string,
  { sources, bytes }: { sources: URL; bytes: (arch: Architecture) => Uint8Array },
): void {
  for (const arch of ["x86_64", "aarch64"] as const) {
    const assembler = `${arch}-linux-gnu-as`;
    const test = `${name}(${arch}) is what its source assembles to`;
    Deno.test({
      name: test,
      ignore: leftOut({ name: test }, !isInstalled(assembler) && `${assembler} is not installed`),
      async fn() {
        const directory = await Deno.makeTempDir();
        try {
          await run(assembler, ["-o", `${directory}/code.o`, new URL(`${arch}.s`, sources).pathname]);
          const objcopy = assembler.replace(/as$/, "objcopy");
          await run(objcopy, ["-O", "binary", "-j", ".text", `${directory}/code.o`, `${directory}/code.bin`]);
          assert.deepEqual(await Deno.readFile(`${directory}/code.bin`), bytes(arch));
        } finally {
          await Deno.remove(directory, { recursive: true });
        }
      },
    });
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
