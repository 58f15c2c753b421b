/**
 * What runk's program is started by: an executable of some hundred bytes, made from `x86_64.s` and `aarch64.s`.
 *
 * `launcher DIRECTORY NAME [ARGUMENT...]` becomes the program NAME of that directory, out of a read-only copy of the mount
 * that the directory is on. For a container can have its first program be `/proc/self/exe`, which is then runk's own, and
 * hold it open: once it runs nowhere any more, root in the container could write to it, and what it wrote would be run by
 * root of the machine. Through a read-only mount nobody can. Who may not mount gets the program as it is.
 *
 * Usage: launcher.ts x86_64|aarch64 OUTPUT
 *
 * @see https://www.cve.org/CVERecord?id=CVE-2019-5736
 * @module
 */
import type { Architecture } from "../../src/linux/syscall_numbers.ts";
import { linkElf } from "../elf.ts";

const CODE = {
  x86_64: "ba01000800e86400000085c078274189c489c7488d3568000000ba001000004c8d156200000041b820000000b8ba0100" +
    "000f05eb0dba00000800e82f0000004189c44489e7488b742418488d542418488b04244c8d54c4104531c0b842010000" +
    "0f05bf7f000000b83c0000000f0548c7c79cffffff488b742418b8ac0100000f05c30000000000000100000000000000" +
    "000000000000000000000000000000000000000000000000",
  aarch64: "600c8092e10b40f9220080d20201a0f2883580d2010000d42001f8b7f30300aa21030010020082d203030010040480d2" +
    "483780d2010000d407000014600c8092e10b40f90201a0d2883580d2010000d4f30300aae00313aae10f40f9e2630091" +
    "e30340f9e36f238b63400091040080d2282380d2010000d4e00f80d2a80b80d2010000d4000000000100000000000000" +
    "000000000000000000000000000000000000000000000000",
} as const satisfies Record<Architecture, string>;

/** The machine code for an architecture. */
export function launcherCode(arch: Architecture): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromHex(CODE[arch]);
}

/** The bytes of the executable for an architecture. */
export function launcher(arch: Architecture): Uint8Array<ArrayBuffer> {
  return linkElf(arch, launcherCode(arch));
}

function isArchitecture(text: string): text is Architecture {
  return text in CODE;
}

if (import.meta.main) {
  const [arch = "", output = ""] = Deno.args;
  if (!isArchitecture(arch)) throw new RangeError(`Cannot make a launcher for "${arch}"`);
  Deno.writeFileSync(output, launcher(arch), { mode: 0o755 });
}
