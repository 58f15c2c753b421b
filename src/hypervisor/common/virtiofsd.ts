/**
 * The daemon that serves a directory of the host to the guest. QEMU's own (C, up to 7.2) and its successor (Rust) take
 * different options; which one it is, its version tells.
 *
 * @module
 */
import { removeIfThere } from "../../base/files.ts";
import type { CommonConfig } from "../../config/schema.ts";
import { listenUnix } from "../../linux/net/socket.ts";
import { type ProcessOptions, VmProcess } from "../process/vm_process.ts";

/** The number under which the daemon inherits its listening socket. */
const SOCKET_FD = 3;

/** Implementations of virtiofsd, which `virtiofsd --version` tells apart. */
export type VirtiofsdKind = "c" | "rust";

/** The keys that say which daemon, and how. */
export type VirtiofsdTable = Pick<CommonConfig, "virtio_fs_daemon" | "virtio_fs_cache" | "virtio_fs_extra_args">;

export interface VirtiofsdOptions extends Pick<ProcessOptions, "name" | "runDir" | "log" | "cgroupProcs"> {
  config: VirtiofsdTable;
  /** Directory to share. */
  source: string;
  /** Where the monitor connects; made here. */
  socket: string;
  kind: VirtiofsdKind;
}

/**
 * Starts the daemon with a socket that listens already, so that the monitor can connect without waiting for it.
 *
 * It goes into namespaces of its own, in which `source` is the root and nothing else is mounted; by propagation it gets what
 * is mounted below `source` later. The process that is started waits for the one within, and takes it along.
 */
export function startVirtiofsd(options: VirtiofsdOptions): VmProcess {
  const { config, socket, ...rest } = options;
  removeIfThere(socket); // of a daemon whose device was taken out
  using listener = listenUnix(socket);
  return VmProcess.start({
    ...rest,
    path: config.virtio_fs_daemon,
    args: virtiofsdArgs(options),
    fds: [{ child: SOCKET_FD, fd: listener }],
  });
}

/** The daemon's arguments. Pure. */
export function virtiofsdArgs(options: Pick<VirtiofsdOptions, "config" | "source" | "kind">): string[] {
  const { config: { virtio_fs_cache: cache, virtio_fs_extra_args: extra }, source, kind } = options;
  return [`--fd=${SOCKET_FD}`, ...ARGS[kind]({ source, cache }), ...extra];
}

/**
 * A guest's root makes no device nodes on the host, whose numbers are the host's devices. Whiteouts of an overlay and fifos
 * need no right, so what is lost are nodes that could not be opened anyway.
 */
const DROPPED = "-mknod";

type ArgsOf = (options: { source: string; cache: CommonConfig["virtio_fs_cache"] }) => readonly string[];

const ARGS = {
  c: ({ source, cache }) => [
    "-f",
    ...["-o", `source=${source.replaceAll(",", "\\,")}`],
    ...["-o", "sandbox=namespace"],
    ...["-o", `modcaps=${DROPPED}`],
    ...["-o", `cache=${C_CACHE[cache]}`],
    ...["-o", "announce_submounts"],
    ...["-o", "log_level=warn"],
  ],
  rust: ({ source, cache }) => [
    `--shared-dir=${source}`,
    "--sandbox=namespace",
    `--modcaps=${DROPPED}`,
    `--cache=${cache}`,
    "--announce-submounts",
    "--inode-file-handles=never",
    "--log-level=warn",
  ],
} satisfies Record<VirtiofsdKind, ArgsOf>;

/** The older daemon has no `metadata`; what expires soonest stands in for it. */
const C_CACHE = { never: "none", metadata: "auto", auto: "auto", always: "always" } as const;

/** Reads the output of `virtiofsd --version`: only the older one speaks of QEMU. */
export function virtiofsdKind(version: string): VirtiofsdKind {
  return /QEMU/.test(version) ? "c" : "rust";
}
