/**
 * Takes the signatures off kernel modules, in place. The kernel asks for none (the guest's modules come from the host,
 * as the kernel itself does), and checking them is half of what loading them costs under software emulation.
 *
 * Usage: kernel_module.ts MODULE.ko...
 *
 * @module
 */

const MAGIC = new TextEncoder().encode("~Module signature appended~\n");
const SIGNATURE_INFO_BYTES = 12;

/** Returns the module without the signature appended to it, or as it is if it has none. */
export function withoutSignature(module: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const end = module.length - MAGIC.length;
  if (end < SIGNATURE_INFO_BYTES || !MAGIC.every((byte, index) => module[end + index] === byte)) return module;
  // The info's last field is the length of the signature before it, big endian.
  const signatureBytes = new DataView(module.buffer, module.byteOffset + end - 4, 4).getUint32(0);
  return module.subarray(0, end - SIGNATURE_INFO_BYTES - signatureBytes);
}

if (import.meta.main) {
  for (const path of Deno.args) await Deno.writeFile(path, withoutSignature(await Deno.readFile(path)));
}
