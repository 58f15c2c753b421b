/**
 * Where distributions put the program that serves shared files: Debian 13 and Fedora, Arch, Kata's own packages; the last
 * one is QEMU's own, up to 7.2.
 *
 * @module
 */
export const VIRTIO_FS_DAEMONS = [
  "/usr/libexec/virtiofsd",
  "/usr/lib/virtiofsd",
  "/opt/kata/libexec/virtiofsd",
  "/usr/lib/qemu/virtiofsd",
] as const;
