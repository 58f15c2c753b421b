/**
 * Reads the kind of file system that a path is on, how full it is and how it is mounted.
 *
 * @see https://man7.org/linux/man-pages/man2/statfs.2.html
 * @module
 */
import { bind, check, cstring } from "../ffi/libc.ts";
import { MS } from "../mount/mount_options.ts";

const libc = bind({
  statfs: { parameters: ["buffer", /* path */ "buffer" /* struct statfs */], result: "i32" },
});

/** Magic numbers of the file systems that callers ask for. */
export const FILE_SYSTEM_MAGIC = {
  binfmt_misc: 0x42494e4d,
  bpf: 0xcafe4a11,
  cgroup: 0x27e0eb,
  cgroup2: 0x63677270,
  configfs: 0x62656570,
  debugfs: 0x64626720,
  devpts: 0x1cd1,
  efivarfs: 0xde5e81e4,
  erofs: 0xe0f5e1e2,
  ext4: 0xef53,
  fuse: 0x65735546,
  fusectl: 0x65735543,
  hugetlbfs: 0x958458f6,
  mqueue: 0x19800202,
  nsfs: 0x6e736673,
  overlay: 0x794c7630,
  pidfs: 0x50494446,
  proc: 0x9fa0,
  pstore: 0x6165676c,
  ramfs: 0x858458f6,
  resctrl: 0x7655821,
  rpc_pipefs: 0x67596969,
  securityfs: 0x73636673,
  selinuxfs: 0xf97cff8c,
  smackfs: 0x43415d53,
  sysfs: 0x62656572,
  tmpfs: 0x01021994,
  tracefs: 0x74726163,
  xfs: 0x58465342,
} as const;

/** A file system and how it is mounted. */
export interface FileSystemStats {
  /** One of {@linkcode FILE_SYSTEM_MAGIC}, or another. */
  magic: number;
  /** Bytes of a block, in which the counts below are. */
  blockSize: number;
  blocks: number;
  freeBlocks: number;
  /** Free to those who are not root. */
  availableBlocks: number;
  /** Inodes; 0 if there is no limit. */
  files: number;
  freeFiles: number;
  /** `MS_*` bits of the mount: read-only, nosuid, nodev, noexec, the access time mode. */
  mountFlags: number;
}

const ST_RELATIME = 4096;
const ST_NOSYMFOLLOW = 8192;
const SAME_BITS = MS.RDONLY | MS.NOSUID | MS.NODEV | MS.NOEXEC | MS.SYNCHRONOUS | MS.MANDLOCK | MS.NOATIME |
  MS.NODIRATIME;

/** Follows symbolic links. @throws {ErrnoError} */
export function statfs(path: string): FileSystemStats {
  // Both architectures: 64-bit fields type, bsize, blocks, bfree, bavail, files, ffree, fsid, namelen, frsize, flags.
  const fields = new BigUint64Array(16);
  const name = cstring(path);
  check("statfs", () => libc.statfs(name, fields), path);
  const [magic, blockSize, blocks, freeBlocks, availableBlocks, files, freeFiles] = Array.from(fields, Number);
  const flags = Number(fields[10]);
  const mountFlags = (flags & SAME_BITS) | (flags & ST_RELATIME ? MS.RELATIME : 0) |
    (flags & ST_NOSYMFOLLOW ? MS.NOSYMFOLLOW : 0);
  return {
    magic: magic!,
    blockSize: blockSize!,
    blocks: blocks!,
    freeBlocks: freeBlocks!,
    availableBlocks: availableBlocks!,
    files: files!,
    freeFiles: freeFiles!,
    mountFlags,
  };
}
