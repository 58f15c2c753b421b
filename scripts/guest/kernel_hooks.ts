/**
 * Looks up in a kernel what the agent would have to look for at each boot, in five megabytes: the number of the hook by
 * which it keeps containers from vsock, and the places of the one by which it keeps them from modules.
 *
 * Usage: kernel_hooks.ts VMLINUX DIRECTORY
 *
 * @module
 */
import { findBtfFunction } from "../../src/linux/bpf/btf.ts";
import { findModuleGuardPlaces, MODULE_REQUEST_HOOK } from "../../src/linux/security/module_guard.ts";
import { SOCKET_CREATE_HOOK } from "../../src/linux/security/vsock_guard.ts";

/** How BTF begins: magic, version 1, no flags, a header of 24 bytes, types right behind it. */
const BEGINNING = Uint8Array.of(0x9f, 0xeb, 1, 0, 24, 0, 0, 0, 0, 0, 0, 0);

/** @returns The kernel's BTF, with what is behind it; undefined for a kernel without, or without the hook. */
export function findBtf(kernel: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> | undefined {
  for (let at = 0; (at = kernel.indexOf(BEGINNING[0]!, at)) >= 0; at++) {
    if (!BEGINNING.every((byte, index) => kernel[at + index] === byte)) continue;
    const btf = kernel.subarray(at);
    if (findBtfFunction(btf, SOCKET_CREATE_HOOK) !== undefined) return btf;
  }
  return undefined;
}

if (import.meta.main) {
  const [vmlinux, directory] = Deno.args;
  const btf = findBtf(await Deno.readFile(vmlinux!));
  if (btf !== undefined) {
    await Deno.writeTextFile(`${directory}/${SOCKET_CREATE_HOOK}`, `${findBtfFunction(btf, SOCKET_CREATE_HOOK)}\n`);
    const places = findModuleGuardPlaces(btf);
    if (places !== undefined) await Deno.writeTextFile(`${directory}/${MODULE_REQUEST_HOOK}`, JSON.stringify(places));
  }
}
