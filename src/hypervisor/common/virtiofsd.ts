/** The daemon that serves a directory of the host to the guest; QEMU's own and its successor take different options. @module */
import { removeIfThere } from "../../base/files.ts";
import type { CommonConfig } from "../../config/schema.ts";
import { listenUnix } from "../../linux/net/socket.ts";
import { type ProcessOptions, VmProcess } from "../process/vm_process.ts";
import type { VirtiofsdKind, VirtiofsdProgram } from "./virtiofsd_program.ts";

/** The number under which the daemon inherits its listening socket. */
const SOCKET_FD = 3;

/** The keys that say which daemon, and how. */
export type VirtiofsdTable = Pick<
  CommonConfig,
  "virtio_fs_daemon" | "virtio_fs_cache" | "virtio_fs_extra_args" | "virtio_fs_xattr"
>;

export interface VirtiofsdOptions extends Pick<ProcessOptions, "name" | "runDir" | "log" | "cgroupProcs"> {
  config: VirtiofsdTable;
  /** Directory to share. */
  source: string;
  /** Where the monitor connects; made here. */
  socket: string;
  program: VirtiofsdProgram;
}

/**
 * Starts the daemon with a socket that listens already, so that the monitor can connect without waiting for it.
 *
 * It goes into namespaces of its own, in which `source` is the root and nothing else is mounted; by propagation it gets what
 * is mounted below `source` later. The process that is started waits for the one within, and takes it along.
 */
export function startVirtiofsd(options: VirtiofsdOptions): VmProcess {
  const { program, socket, ...rest } = options;
  removeIfThere(socket); // of a daemon whose device was taken out
  using listener = listenUnix(socket);
  return VmProcess.start({
    ...rest,
    path: program.path,
    args: virtiofsdArgs(options),
    fds: [{ child: SOCKET_FD, fd: listener }],
  });
}

/** The daemon's arguments. Pure. */
export function virtiofsdArgs(options: Pick<VirtiofsdOptions, "config" | "source" | "program">): string[] {
  const { config: { virtio_fs_cache: cache, virtio_fs_extra_args: extra, virtio_fs_xattr: xattr }, source, program } =
    options;
  return [`--fd=${SOCKET_FD}`, ...ARGS[program.kind]({ source, cache }), ...(xattr ? wished(program) : []), ...extra];
}

/**
 * A guest's root makes no device nodes on the host, whose numbers are the host's devices. Whiteouts of an overlay and fifos
 * need no right, so what is lost are nodes that could not be opened anyway.
 */
const DROPPED = "-mknod";

type ArgsOf = (options: { source: string; cache: CommonConfig["virtio_fs_cache"] }) => readonly string[];

/**
 * Arguments that each release of a kind takes. Files are remembered by open descriptors and not by handles: for these the
 * daemon would need the right to open any file of the host's file systems, whatever its namespaces.
 */
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

/** Attributes, file capabilities and lists of access, as a usual file system has them: asked for where the daemon can. */
const WISHED = {
  c: ["xattr", "posix_acl"],
  rust: ["--xattr", "--posix-acl"],
} satisfies Record<VirtiofsdKind, readonly string[]>;

function wished({ kind, options }: VirtiofsdProgram): readonly string[] {
  const known = WISHED[kind].filter((option) => options.has(option));
  return kind === "c" ? known.flatMap((word) => ["-o", word]) : known;
}

/** The older daemon has no `metadata`; what expires soonest stands in for it. */
const C_CACHE = { never: "none", metadata: "auto", auto: "auto", always: "always" } as const;
