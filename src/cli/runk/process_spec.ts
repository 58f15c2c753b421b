/** The process of `runk exec`: from a file, or the container's own with changes from flags. @module */
import { type Capabilities, parseProcess, type Process, type User } from "../../oci/spec/spec.ts";

export interface ProcessChanges {
  args: readonly string[];
  cwd?: string | undefined;
  /** `NAME=value` each, behind the container's own. */
  env: readonly string[];
  /** `uid` or `uid:gid`, numeric. */
  user?: string | undefined;
  additionalGids: readonly string[];
  tty: boolean;
  capabilities: readonly string[];
  noNewPrivileges: boolean;
  apparmor?: string | undefined;
  processLabel?: string | undefined;
}

/** Reads a whole process, as the specification's JSON. */
export function readProcess(path: string): Process {
  try {
    return parseProcess(Deno.readTextFileSync(path));
  } catch (cause) {
    throw new Error(`Cannot read process "${path}"`, { cause });
  }
}

/** @throws {RangeError} Ids that are no numbers. */
export function changeProcess(process: Process, changes: ProcessChanges): Process {
  const capabilities = addCapabilities(process.capabilities, changes.capabilities);
  const gids = changes.additionalGids.map((gid) => parseId(gid));
  return {
    ...process,
    args: [...changes.args],
    env: [...process.env ?? [], ...changes.env],
    cwd: changes.cwd ?? process.cwd,
    terminal: changes.tty,
    user: changeUser(process.user, { user: changes.user, gids }),
    ...(capabilities && { capabilities }),
    ...(changes.noNewPrivileges && { noNewPrivileges: true }),
    ...(changes.apparmor !== undefined && { apparmorProfile: changes.apparmor }),
    ...(changes.processLabel !== undefined && { selinuxLabel: changes.processLabel }),
  };
}

function changeUser(user: User, changes: { user: string | undefined; gids: readonly number[] }): User {
  const additionalGids = [...new Set([...user.additionalGids ?? [], ...changes.gids])];
  const kept = { ...user, ...(additionalGids.length > 0 && { additionalGids }) };
  if (changes.user === undefined) return kept;
  const [uid = "", gid, ...more] = changes.user.split(":");
  if (more.length > 0) throw new RangeError(`Cannot use user "${changes.user}": expected UID[:GID]`);
  return { ...kept, uid: parseId(uid), ...(gid !== undefined && { gid: parseId(gid) }) };
}

function parseId(text: string): number {
  if (!/^\d+$/.test(text) || Number(text) > 0xffff_fffe) {
    throw new RangeError(`Cannot use "${text}" as a user or group id`);
  }
  return Number(text);
}

/**
 * As runc since CVE-2022-29162: an inheritable capability that nobody asked for would pass through executables that name it,
 * so an ambient one, which must be inheritable, comes only where the container's process has it as that already.
 */
function addCapabilities(own: Capabilities = {}, added: readonly string[]): Capabilities | undefined {
  if (added.length === 0) return Object.keys(own).length === 0 ? undefined : own;
  const withAdded = (set: readonly string[] = [], more = added) => [...new Set([...set, ...more])];
  const inheritable = added.filter((capability) => own.inheritable?.includes(capability));
  return {
    ...own,
    bounding: withAdded(own.bounding),
    effective: withAdded(own.effective),
    permitted: withAdded(own.permitted),
    ambient: withAdded(own.ambient, inheritable),
  };
}
