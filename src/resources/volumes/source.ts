/** Source of a bind mount, looked at once and then held: its path may lead elsewhere the next time. @module */
import { quoted } from "../../base/text.ts";
import { KataError } from "../../base/error.ts";
import { splitDevice } from "../../linux/device/number.ts";
import { Fd, O_PATH, pathOf } from "../../linux/io/fd.ts";
import { mountIdOf, type MountInfo, readMountInfo } from "../../linux/mount/mountinfo.ts";
import { statfs } from "../../linux/fs/statfs.ts";
import type { Mount } from "../../oci/spec/spec.ts";

export type SourceKind = "directory" | "file" | "character" | "block" | "fifo" | "socket";

export interface SourceOptions {
  /** Directory on the host, where relative sources start. */
  bundle: string;
  /** Reads the mount table, if it is needed: some ten microseconds for each mount of the host, of which a node has many. */
  table?: () => readonly MountInfo[];
}

/** An open source of a bind mount. Nothing is read from it: a device or a fifo would notice. */
export class Source implements Disposable {
  readonly fd: Fd;
  /** Without links, `.` and `..`. */
  readonly path: string;
  readonly kind: SourceKind;
  /** Of a device: its numbers. */
  readonly device: { major: number; minor: number };
  /** Of the file system, one of `FILE_SYSTEM_MAGIC` or another. */
  readonly magic: number;

  /** The host's mount table. */
  readonly table: () => readonly MountInfo[];

  /** @throws {KataError} INVALID_ARGUMENT: there is no such file. */
  constructor({ source = "", destination }: Mount, { bundle, table = readMountInfo }: SourceOptions) {
    this.table = table;
    this.fd = open(source.startsWith("/") ? source : `${bundle}/${source}`, { source, destination });
    const seen = pathOf(this.fd);
    const info = Deno.statSync(seen);
    this.path = Deno.readLinkSync(seen);
    this.kind = kindOf(info);
    this.device = splitDevice(info.rdev ?? 0);
    this.magic = statfs(seen).magic;
  }

  /** The mount that it is in, with the path from there, such as `/file`; empty for the mount's own root. */
  mountInfo(): { mount: MountInfo; within: string } | undefined {
    const id = mountIdOf(this.fd);
    const mount = this.table().find((one) => one.id === id);
    if (mount === undefined) return undefined;
    const { mountPoint } = mount;
    return { mount, within: this.path.slice(mountPoint === "/" ? 0 : mountPoint.length) };
  }

  [Symbol.dispose](): void {
    this.fd[Symbol.dispose]();
  }
}

function open(path: string, { source, destination }: { source: string; destination: string }): Fd {
  try {
    return Fd.open(path, O_PATH);
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : String(cause);
    throw new KataError("INVALID_ARGUMENT", `Cannot mount ${quoted(source)} on ${quoted(destination)}: ${code}`);
  }
}

function kindOf(info: Deno.FileInfo): SourceKind {
  if (info.isDirectory) return "directory";
  if (info.isCharDevice) return "character";
  if (info.isBlockDevice) return "block";
  if (info.isFifo) return "fifo";
  return info.isSocket ? "socket" : "file";
}
