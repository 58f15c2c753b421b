/**
 * Which virtiofsd there is, and what it can. QEMU's own (C, up to 7.2) and its successor (Rust) differ in more than their
 * options: a daemon is asked what it is, whatever its path.
 *
 * @module
 */
import type { CommonConfig } from "../../config/schema.ts";
import { VIRTIO_FS_DAEMONS } from "../../config/virtio_fs_daemons.ts";
import type { Logger } from "../../base/log.ts";
import { errorChain } from "../../base/error.ts";
import { distrust } from "../../linux/fs/trusted.ts";
import { outputOf } from "../process/vm_process.ts";

/** Implementations of virtiofsd. */
export type VirtiofsdKind = "c" | "rust";

/** A daemon, as it describes itself. */
export interface VirtiofsdProgram {
  path: string;
  kind: VirtiofsdKind;
  /** Long options that it takes, such as `--xattr`, and words after `-o`, such as `posix_acl`. */
  options: ReadonlySet<string>;
}

export interface FindOptions {
  config: Pick<CommonConfig, "virtio_fs_daemon">;
  log: Logger;
  /** Where to look if none is configured; default: the usual ones. */
  places?: readonly string[];
}

/** Faults that nobody who runs QEMU's own daemon should have to find out. */
const C_LACKS =
  "QEMU's own virtiofsd serves shared files: in a directory that a process may write by a supplementary group " +
  "alone (fsGroup) it cannot create, and what is written to a shared mapping of a file that is open for appending " +
  "lands at the file's end. Install its successor (Debian 13: package virtiofsd)";

/**
 * Finds the daemon: the one that is configured, else the first of the newer kind, else QEMU's own, which a warning
 * names. Programs that others than the administrator can change are passed over.
 *
 * @throws {Error} There is none that runs.
 */
export async function findVirtiofsd(
  { config, log, places = VIRTIO_FS_DAEMONS }: FindOptions,
): Promise<VirtiofsdProgram> {
  const { virtio_fs_daemon: path } = config;
  const program = path === "" ? await search(places) : await askConfigured(path);
  if (program.kind === "c") log.warning(C_LACKS, { path: program.path });
  return program;
}

async function search(places: readonly string[]): Promise<VirtiofsdProgram> {
  const problems: string[] = [];
  let older: VirtiofsdProgram | undefined;
  for (const path of places) {
    const program = await askUsual(path).catch((error: unknown) => void problems.push(errorChain(error)));
    if (program?.kind === "rust") return program;
    older ??= program;
  }
  if (older !== undefined) return older;
  throw new Error(`Cannot find a virtiofsd: ${problems.join("; ")}`);
}

async function askUsual(path: string): Promise<VirtiofsdProgram> {
  const problem = distrust(path);
  if (problem !== undefined) throw new Error(`"${path}": ${problem}`);
  const help = await helpOf(path);
  const kind = virtiofsdKind(help);
  if (kind === undefined) throw new Error(`"${path}" says of itself "${help.trim().slice(0, 200)}"`);
  return { path, kind, options: virtiofsdOptions(help) };
}

/** Takes the administrator's word, whatever the program says of itself. */
async function askConfigured(path: string): Promise<VirtiofsdProgram> {
  const help = await helpOf(path);
  return { path, kind: virtiofsdKind(help) ?? "rust", options: virtiofsdOptions(help) };
}

function helpOf(path: string): Promise<string> {
  return outputOf(path, ["--help"]);
}

/** Reads the output of `virtiofsd --help`. Undefined: it is of no virtiofsd that runs. */
export function virtiofsdKind(help: string): VirtiofsdKind | undefined {
  if (/^ *--shared-dir\b/m.test(help)) return "rust";
  return /^ *-o source=/m.test(help) ? "c" : undefined;
}

/** Reads the output of `virtiofsd --help`. */
export function virtiofsdOptions(help: string): ReadonlySet<string> {
  const long = help.matchAll(/^ +(?:-\w, +|-\w +)?(--[a-z-]+)/gm);
  const words = help.matchAll(/^ +-o ([a-z_|/]+)/gm);
  return new Set([...long, ...words].flatMap(([, name]) => name!.split(/[|/]/)));
}
