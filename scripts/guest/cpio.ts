/** A file, directory or device of an initramfs; `mode` holds the permission bits. */
export type CpioEntry =
  | { kind: "file"; path: string; mode: number; data: Uint8Array }
  | { kind: "directory"; path: string; mode: number }
  | { kind: "character device"; path: string; mode: number; major: number; minor: number };

const TYPE_BITS = { "file": 0o100000, "directory": 0o040000, "character device": 0o020000 } as const;

/**
 * Packs an archive in the "newc" form that the kernel unpacks as initramfs. Owner is root and times are 0, so that the
 * same entries always give the same bytes.
 *
 * @param entries Parents before children; paths are relative, without `./`.
 * @see https://docs.kernel.org/driver-api/early-userspace/buffer-format.html
 */
export function packCpio(entries: readonly CpioEntry[]): Uint8Array<ArrayBuffer> {
  const parts = entries.flatMap((entry, index) => pack(entry, index + 1));
  parts.push(...pack({ kind: "file", path: "TRAILER!!!", mode: 0, data: new Uint8Array() }, 0));
  return concat(parts);
}

function pack(entry: CpioEntry, inode: number): Uint8Array[] {
  const data = entry.kind === "file" ? entry.data : new Uint8Array();
  const [major, minor] = entry.kind === "character device" ? [entry.major, entry.minor] : [0, 0];
  const name = new TextEncoder().encode(`${entry.path}\0`);
  // inode, mode, uid, gid, nlink, mtime, size, device of the file, device it is, name size, checksum
  const mode = entry.path === "TRAILER!!!" ? 0 : TYPE_BITS[entry.kind] | entry.mode;
  const fields = [inode, mode, 0, 0, 1, 0, data.length, 0, 0, major, minor, name.length, 0];
  const header = "070701" + fields.map((field) => field.toString(16).padStart(8, "0")).join("");
  return [...padded([new TextEncoder().encode(header), name]), ...padded([data])];
}

/** Appends zeros up to the next multiple of four bytes. */
function padded(parts: Uint8Array[]): Uint8Array[] {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return [...parts, new Uint8Array((4 - length % 4) % 4)];
}

/** Joins byte arrays. */
export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
