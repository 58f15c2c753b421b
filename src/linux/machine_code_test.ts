import assert from "node:assert/strict";
import { machineCode } from "./machine_code.ts";

const ASSEMBLERS = [
  { arch: "x86_64", assembler: "x86_64-linux-gnu-as" },
  { arch: "aarch64", assembler: "aarch64-linux-gnu-as" },
] as const;

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

for (const { arch, assembler } of ASSEMBLERS) {
  Deno.test({
    name: `machineCode(${arch}) is what its source assembles to`,
    ignore: !isInstalled(assembler),
    async fn() {
      const directory = await Deno.makeTempDir();
      try {
        const source = new URL(`machine_code/${arch}.s`, import.meta.url).pathname;
        await run(assembler, ["-o", `${directory}/code.o`, source]);
        const objcopy = assembler.replace(/as$/, "objcopy");
        await run(objcopy, ["-O", "binary", "-j", ".text", `${directory}/code.o`, `${directory}/code.bin`]);
        assert.deepEqual(await Deno.readFile(`${directory}/code.bin`), machineCode(arch));
      } finally {
        await Deno.remove(directory, { recursive: true });
      }
    },
  });
}
