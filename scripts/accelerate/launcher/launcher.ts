/**
 * Starter of runk's program: an executable of some hundred bytes, made from `x86_64.s` and `aarch64.s`.
 *
 * `launcher DIRECTORY NAME [ARGUMENT...]` becomes the program NAME of that directory, out of a read-only copy of the mount
 * that the directory is on: of the root's, if it is that, or V8 would not find the program by the path that /proc shows,
 * and copy 2 MB of its own code where it can map the file. For a container can have its first program be `/proc/self/exe`, which is then runk's own, and
 * hold it open: once it runs nowhere any more, root in the container could write to it, and what it wrote would be run by
 * root of the machine. Through a read-only mount nobody can. Who may not mount gets the program as it is.
 *
 * Usage: launcher.ts x86_64|aarch64 OUTPUT
 *
 * @see https://www.cve.org/CVERecord?id=CVE-2019-5736
 * @module
 */
import type { Architecture } from "../../../src/linux/child_program/syscall_numbers.ts";
import { linkElf } from "../elf.ts";

const CODE = {
  x86_64: "488d35b9000000e86e00000085c0783089c7488b74241048ffc6488d15c700000041ba18000000b8b50100000f0585c0" +
    "791d488b742410e83e00000085c0790f488b742410ba00000800e86200000089c7488b742418488d542418488b04244c" +
    "8d54c4104531c0b8420100000f05bf7f000000b83c0000000f05ba01000800e82d00000085c078284189c489c7488d35" +
    "2d000000ba001000004c8d152800000041b820000000b8ba0100000f054489e0c348c7c79cffffffb8ac0100000f05c3" +
    "2f0000000000000001000000000000000000000000000000000000000000000000000000000000000000290000000000" +
    "00000000000000000800000000000000",
  aarch64: "a10500101a0000946001f8b7e10b40f92104009122060010030380d2a83680d2010000d4e000f8b6e10b40f910000094" +
    "8000f8b6e10b40f90201a0d21a000094e10f40f9e2630091e30340f9e36f238b63400091040080d2282380d2010000d4" +
    "e00f80d2a80b80d2010000d4f4031eaa220080d20201a0f20b0000942001f8b7f30300aa81010030020082d263010010" +
    "040480d2483780d2010000d4e00313aa80025fd6600c8092883580d2010000d4c0035fd62f0000000100000000000000" +
    "000000000000000000000000000000000000000000000000004028000000000000000000000000000800000000000000",
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
