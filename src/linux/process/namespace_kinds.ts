/** The kinds of namespaces. @module */

/** Kinds of namespaces by their file in `/proc/PID/ns`, with their CLONE_NEW flag. */
export const NAMESPACES = {
  cgroup: 0x2000000,
  ipc: 0x8000000,
  mnt: 0x20000,
  net: 0x40000000,
  pid: 0x20000000,
  time: 0x80,
  user: 0x10000000,
  uts: 0x4000000,
} as const;

export type NamespaceKind = keyof typeof NAMESPACES;
