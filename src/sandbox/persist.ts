/** State of a sandbox on disk, so that another process can clean up after this one. @module */
import { KataError } from "../base/error.ts";
import { verifyId } from "../base/id.ts";
import type { Logger } from "../base/log.ts";
import { distrust } from "../linux/fs/trusted.ts";

const FILE = "state.json";
/** The longest path of a socket (unix(7)), and what the names of a VM's sockets take of it. */
const LONGEST_SOCKET = 107;
const SOCKET_ROOM = "/fs-kataShared.sock".length;

/** The content of `state.json` in a sandbox's run directory. */
export interface SandboxState {
  id: string;
  /** containerd's namespace of the sandbox. */
  namespace: string;
  /** Address of the shim's socket. */
  address: string;
  /** The shim, with its start time: see `hypervisor/process/pid_file.ts`, which records the VM's processes beside this file. */
  shim: { pid: number; startTime: string };
  /** Directories of the sandbox's cgroups on the host. */
  cgroups: readonly string[];
  containers: readonly { id: string; bundle: string }[];
}

/**
 * Makes a sandbox's run directory below `root`.
 *
 * @throws {KataError} ALREADY_EXISTS; INVALID_ARGUMENT for what can be no id, or is too long for sockets in its directory;
 * PERMISSION_DENIED if others than the administrator can change what is in `root`.
 */
export function makeRunDir(root: string, id: string): void {
  verifyId(id, "sandbox");
  const most = LONGEST_SOCKET - SOCKET_ROOM - `${root}/`.length;
  if (id.length > most) {
    throw new KataError(
      "INVALID_ARGUMENT",
      `Cannot create sandbox "${id}": an id in "${root}" has at most ${most} characters`,
    );
  }
  try {
    Deno.mkdirSync(root, { recursive: true, mode: 0o750 });
    verifyRunDir(root);
    Deno.mkdirSync(`${root}/${id}`, { mode: 0o700 });
  } catch (cause) {
    if (cause instanceof KataError) throw new KataError(cause.code, `Cannot create sandbox "${id}"`, { cause });
    if (!(cause instanceof Deno.errors.AlreadyExists)) throw new Error(`Cannot create sandbox "${id}"`, { cause });
    throw new KataError("ALREADY_EXISTS", `Cannot create sandbox "${id}": "${root}/${id}" exists`);
  }
}

/**
 * Looks at the directory of a sandbox, or of all.
 *
 * @throws {KataError} PERMISSION_DENIED: others than the administrator can change what is there, should it exist.
 */
export function verifyRunDir(path: string): void {
  const problem = distrust(path);
  if (problem === undefined || problem === "ENOENT") return;
  throw new KataError("PERMISSION_DENIED", `Cannot keep a sandbox in "${path}": ${problem}`);
}

/**
 * Writes the state as a whole or not at all.
 *
 * @param runDir Directory of the sandbox, such as `/run/kata/<id>`.
 * @throws {Error} The disk is full, or may not be written to.
 */
export function writeState(runDir: string, state: SandboxState): void {
  const path = `${runDir}/${FILE}`;
  try {
    Deno.writeTextFileSync(`${path}.tmp`, JSON.stringify(state), { mode: 0o600 });
    Deno.renameSync(`${path}.tmp`, path);
  } catch (cause) {
    throw new Error(`Cannot write the state of sandbox "${state.id}"`, { cause });
  }
}

/**
 * As {@linkcode writeState}, for containers that came or went. Cleaning up needs none of their names, so a full disk
 * keeps none of them from coming or going: it is only logged.
 */
export function rewriteState(runDir: string, state: SandboxState, log: Logger): void {
  try {
    writeState(runDir, state);
  } catch (error) {
    log.warning("Cannot note which containers there are", { sandbox: state.id, error });
  }
}

/** @returns Nothing if no state was written, or it cannot be read: clean-up then does without. */
export function readState(runDir: string): SandboxState | undefined {
  try {
    return JSON.parse(Deno.readTextFileSync(`${runDir}/${FILE}`)) as SandboxState;
  } catch {
    return undefined;
  }
}
