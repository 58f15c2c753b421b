/**
 * Takes the uncompressed kernel out of a bzImage, so that QEMU can boot it by PVH, which skips the decompression.
 *
 * Usage: vmlinux.ts BZIMAGE OUTPUT
 *
 * @see https://docs.kernel.org/arch/x86/boot.html
 * @module
 */

const LITTLE_ENDIAN = true;

/** The offsets of the boot protocol's fields in a bzImage. */
const SETUP_SECTORS = 0x1f1;
const HEADER_MAGIC = 0x202;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;

const DECOMPRESSORS: { magic: number[]; command: string[] }[] = [
  { magic: [0x02, 0x21, 0x4c, 0x18], command: ["lz4", "-dc"] },
  { magic: [0x28, 0xb5, 0x2f, 0xfd], command: ["zstd", "-dcq"] },
  { magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a], command: ["xz", "-dc"] },
  { magic: [0x1f, 0x8b], command: ["gzip", "-dc"] },
];

/** Finds the compressed kernel in a bzImage and the command that decompresses it from stdin to stdout. */
export function findPayload(image: Uint8Array): { payload: Uint8Array; command: string[] } {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  if (image.length < 0x260 || view.getUint32(HEADER_MAGIC, LITTLE_ENDIAN) !== 0x53726448 /* "HdrS" */) {
    throw new SyntaxError("Cannot find the boot header: this is no bzImage");
  }
  const start = ((image[SETUP_SECTORS] || 4) + 1) * 512 + view.getUint32(PAYLOAD_OFFSET, LITTLE_ENDIAN);
  // The last four bytes are the uncompressed size, which is no part of the compressed stream.
  const payload = image.subarray(start, start + view.getUint32(PAYLOAD_LENGTH, LITTLE_ENDIAN) - 4);
  const found = DECOMPRESSORS.find(({ magic }) => magic.every((byte, index) => payload[index] === byte));
  if (found === undefined) throw new SyntaxError("Cannot decompress the kernel: its compression is unknown");
  return { payload, command: found.command };
}

async function main([image, output]: readonly string[]): Promise<void> {
  const { payload, command } = findPayload(await Deno.readFile(image!));
  const child = new Deno.Command(command[0]!, { args: command.slice(1), stdin: "piped", stdout: "piped" }).spawn();
  const [, vmlinux] = await Promise.all([
    new Blob([payload.slice()]).stream().pipeTo(child.stdin),
    new Response(child.stdout).bytes(),
  ]);
  const { code } = await child.status;
  // gzip's exit status 2 is a warning about bytes after the stream.
  if (code !== 0 && code !== 2) {
    throw new Error(`Cannot decompress "${image}": ${command[0]} exits with status ${code}`);
  }
  await Deno.writeFile(output!, vmlinux);
}

if (import.meta.main) await main(Deno.args);
