/**
 * The words of fstab and of an OCI `mounts[].options` list, as flags of mount(2) and mount_setattr(2). Pure.
 *
 * @see https://man7.org/linux/man-pages/man2/mount.2.html
 * @see https://man7.org/linux/man-pages/man2/mount_setattr.2.html
 * @module
 */

/** Flags of mount(2). */
export const MS = {
  RDONLY: 1 << 0,
  NOSUID: 1 << 1,
  NODEV: 1 << 2,
  NOEXEC: 1 << 3,
  SYNCHRONOUS: 1 << 4,
  REMOUNT: 1 << 5,
  MANDLOCK: 1 << 6,
  DIRSYNC: 1 << 7,
  NOSYMFOLLOW: 1 << 8,
  NOATIME: 1 << 10,
  NODIRATIME: 1 << 11,
  BIND: 1 << 12,
  MOVE: 1 << 13,
  REC: 1 << 14,
  SILENT: 1 << 15,
  UNBINDABLE: 1 << 17,
  PRIVATE: 1 << 18,
  SLAVE: 1 << 19,
  SHARED: 1 << 20,
  RELATIME: 1 << 21,
  I_VERSION: 1 << 23,
  STRICTATIME: 1 << 24,
  LAZYTIME: 1 << 25,
} as const;

/** Attributes of mount_setattr(2). */
export const MOUNT_ATTR = {
  RDONLY: 0x1,
  NOSUID: 0x2,
  NODEV: 0x4,
  NOEXEC: 0x8,
  /** Mask over the three access time modes; it must be cleared as a whole before one of them is set. */
  ATIME: 0x70,
  RELATIME: 0x0,
  NOATIME: 0x10,
  STRICTATIME: 0x20,
  NODIRATIME: 0x80,
  IDMAP: 0x100000,
  NOSYMFOLLOW: 0x200000,
} as const;

/** Flags of open_tree(2): a copy, and of all mounts below as well; the second is one of mount_setattr(2), too. */
export const OPEN_TREE_CLONE = 1;
export const AT_RECURSIVE = 0x8000;
/** Flags of move_mount(2): the one descriptor is what is moved, the other where to. */
export const MOVE_MOUNT_F_EMPTY_PATH = 0x04;
export const MOVE_MOUNT_T_EMPTY_PATH = 0x40;

/** Meaning of a list of option words. */
export interface MountOptions {
  /** `MS_*` bits to pass to mount(2), without propagation. */
  flags: number;
  /** `MS_*` bits that a word switched off by name (`rw`, `exec`…): a remount must not inherit those from the source. */
  cleared: number;
  /** Propagation changes in order, each a call of its own: `MS_SHARED | MS_REC`… */
  propagation: number[];
  /** Attributes for the whole tree below the mount, for mount_setattr(2) with `AT_RECURSIVE`. */
  recursive: { set: number; clear: number } | undefined;
  /** The mount asks for mapped ids, of one mount or of the whole tree. */
  idmap: "idmap" | "ridmap" | undefined;
  /** `tmpcopyup`: fill the new tmpfs with what the mount point held. */
  copyUp: boolean;
  /** Everything else, comma separated: for the file system itself. */
  data: string;
}

type FlagRow = { set: number } | { clear: number };

const FLAGS: Readonly<Record<string, FlagRow>> = {
  defaults: { set: 0 },
  async: { clear: MS.SYNCHRONOUS },
  atime: { clear: MS.NOATIME },
  bind: { set: MS.BIND },
  dev: { clear: MS.NODEV },
  diratime: { clear: MS.NODIRATIME },
  dirsync: { set: MS.DIRSYNC },
  exec: { clear: MS.NOEXEC },
  iversion: { set: MS.I_VERSION },
  lazytime: { set: MS.LAZYTIME },
  loud: { clear: MS.SILENT },
  mand: { set: MS.MANDLOCK },
  noatime: { set: MS.NOATIME },
  nodev: { set: MS.NODEV },
  nodiratime: { set: MS.NODIRATIME },
  noexec: { set: MS.NOEXEC },
  noiversion: { clear: MS.I_VERSION },
  nolazytime: { clear: MS.LAZYTIME },
  nomand: { clear: MS.MANDLOCK },
  norelatime: { clear: MS.RELATIME },
  nostrictatime: { clear: MS.STRICTATIME },
  nosuid: { set: MS.NOSUID },
  nosymfollow: { set: MS.NOSYMFOLLOW },
  rbind: { set: MS.BIND | MS.REC },
  relatime: { set: MS.RELATIME },
  remount: { set: MS.REMOUNT },
  ro: { set: MS.RDONLY },
  rw: { clear: MS.RDONLY },
  silent: { set: MS.SILENT },
  strictatime: { set: MS.STRICTATIME },
  suid: { clear: MS.NOSUID },
  symfollow: { clear: MS.NOSYMFOLLOW },
  sync: { set: MS.SYNCHRONOUS },
};

const PROPAGATION: Readonly<Record<string, number>> = {
  private: MS.PRIVATE,
  rprivate: MS.PRIVATE | MS.REC,
  shared: MS.SHARED,
  rshared: MS.SHARED | MS.REC,
  slave: MS.SLAVE,
  rslave: MS.SLAVE | MS.REC,
  unbindable: MS.UNBINDABLE,
  runbindable: MS.UNBINDABLE | MS.REC,
};

interface RecursiveRow {
  set: number;
  clear: number;
}

const RECURSIVE: Readonly<Record<string, RecursiveRow>> = {
  rro: { set: MOUNT_ATTR.RDONLY, clear: 0 },
  rrw: { set: 0, clear: MOUNT_ATTR.RDONLY },
  rnosuid: { set: MOUNT_ATTR.NOSUID, clear: 0 },
  rsuid: { set: 0, clear: MOUNT_ATTR.NOSUID },
  rnodev: { set: MOUNT_ATTR.NODEV, clear: 0 },
  rdev: { set: 0, clear: MOUNT_ATTR.NODEV },
  rnoexec: { set: MOUNT_ATTR.NOEXEC, clear: 0 },
  rexec: { set: 0, clear: MOUNT_ATTR.NOEXEC },
  rnodiratime: { set: MOUNT_ATTR.NODIRATIME, clear: 0 },
  rdiratime: { set: 0, clear: MOUNT_ATTR.NODIRATIME },
  rnosymfollow: { set: MOUNT_ATTR.NOSYMFOLLOW, clear: 0 },
  rsymfollow: { set: 0, clear: MOUNT_ATTR.NOSYMFOLLOW },
  // The access time mode is one field: the kernel refuses to clear a part of it.
  rrelatime: { set: MOUNT_ATTR.RELATIME, clear: MOUNT_ATTR.ATIME },
  // Relatime is no bit, so there is none to clear: as `norelatime`, it changes nothing.
  rnorelatime: { set: 0, clear: 0 },
  rnoatime: { set: MOUNT_ATTR.NOATIME, clear: MOUNT_ATTR.ATIME },
  ratime: { set: MOUNT_ATTR.RELATIME, clear: MOUNT_ATTR.ATIME },
  rstrictatime: { set: MOUNT_ATTR.STRICTATIME, clear: MOUNT_ATTR.ATIME },
  rnostrictatime: { set: MOUNT_ATTR.RELATIME, clear: MOUNT_ATTR.ATIME },
};

/** Reads option words in order; a later word wins over an earlier one that says the opposite. */
export function parseMountOptions(words: readonly string[]): MountOptions {
  const parsed: MountOptions = {
    flags: 0,
    cleared: 0,
    propagation: [],
    recursive: undefined,
    idmap: undefined,
    copyUp: false,
    data: "",
  };
  const data: string[] = [];
  for (const word of words) {
    if (!applyWord(parsed, word) && word !== "") data.push(word);
  }
  parsed.data = data.join(",");
  return parsed;
}

/** False if the word is for the file system. */
function applyWord(parsed: MountOptions, word: string): boolean {
  const flag = own(FLAGS, word);
  if (flag !== undefined) {
    if ("set" in flag) {
      parsed.flags |= flag.set;
      parsed.cleared &= ~flag.set;
    } else {
      parsed.flags &= ~flag.clear;
      parsed.cleared |= flag.clear;
    }
    return true;
  }
  const propagation = own(PROPAGATION, word);
  if (propagation !== undefined) return parsed.propagation.push(propagation) > 0;
  const recursive = own(RECURSIVE, word);
  if (recursive !== undefined) {
    const before = parsed.recursive ?? { set: 0, clear: 0 };
    parsed.recursive = {
      set: (before.set & ~recursive.clear) | recursive.set,
      // A bit of the access time mask may be in both; any other bit is on one side only.
      clear: (before.clear & ~(recursive.set & ~MOUNT_ATTR.ATIME)) | recursive.clear,
    };
    return true;
  }
  if (word === "idmap" || word === "ridmap") return (parsed.idmap = word) === word;
  if (word === "tmpcopyup") return parsed.copyUp = true;
  return false;
}

function own<T>(table: Readonly<Record<string, T>>, word: string): T | undefined {
  return Object.hasOwn(table, word) ? table[word] : undefined;
}

/** Every option word that is understood here and not handed to a file system, sorted; for `features`. */
export function knownMountOptions(): string[] {
  const tables = [FLAGS, PROPAGATION, RECURSIVE].flatMap((table) => Object.keys(table));
  return [...tables, "idmap", "ridmap", "tmpcopyup"].sort();
}

/**
 * The propagation flags of a word such as `rslave`, as `linux.rootfsPropagation` holds it.
 *
 * @throws {TypeError} The word is not a propagation.
 */
export function parsePropagation(word: string): number {
  const flags = own(PROPAGATION, word);
  if (flags === undefined) throw new TypeError(`Cannot parse mount propagation "${word}"`);
  return flags;
}
