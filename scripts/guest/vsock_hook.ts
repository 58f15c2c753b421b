/**
 * Looks up in a kernel what the agent would have to look for at each boot, in five megabytes: the number of the hook by
 * which it keeps containers from vsock.
 *
 * Usage: vsock_hook.ts VMLINUX OUTPUT
 *
 * @module
 */
import { findBtfFunction } from "../../src/linux/bpf/btf.ts";
import { SOCKET_CREATE_HOOK } from "../../src/linux/security/vsock_guard.ts";

/** How BTF begins: magic, version 1, no flags, a header of 24 bytes, types right behind it. */
const BEGINNING = Uint8Array.of(0x9f, 0xeb, 1, 0, 24, 0, 0, 0, 0, 0, 0, 0);

/** @returns undefined for a kernel without. */
export function findHook(kernel: Uint8Array<ArrayBuffer>): number | undefined {
  for (let at = 0; (at = kernel.indexOf(BEGINNING[0]!, at)) >= 0; at++) {
    if (!BEGINNING.every((byte, index) => kernel[at + index] === byte)) continue;
    const found = findBtfFunction(kernel.subarray(at), SOCKET_CREATE_HOOK);
    if (found !== undefined) return found;
  }
  return undefined;
}

if (import.meta.main) {
  const [vmlinux, output] = Deno.args;
  const found = findHook(await Deno.readFile(vmlinux!));
  if (found !== undefined) await Deno.writeTextFile(output!, `${found}\n`);
}
