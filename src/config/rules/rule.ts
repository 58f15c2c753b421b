/** The form of a rule, and words that rules share. @module */
import type { MonitorKind } from "../key.ts";
import type { HostSize } from "../sizes.ts";
import { type Config, type ConfigFor, type ConfigOf, tableOf } from "../tables.ts";

/** Facts about the host that the rules use. */
export interface HostFacts extends HostSize {
  /** Why a file cannot be read, such as `ENOENT`; undefined if it can. */
  fileProblem(path: string): string | undefined;
  /** As `fileProblem`, for what runs as root: also if others than the administrator can change it. */
  programProblem(path: string): string | undefined;
}

/** A table of a configuration, and a key in it. */
type KeyName<K extends MonitorKind> = { [T in keyof Config]: `${T}.${keyof ConfigFor<K>[T] & string}` }[keyof Config];

/** A condition on one key, on several, or on a key and the host. */
export interface Rule<K extends MonitorKind = MonitorKind> {
  keys: readonly KeyName<K>[];
  /** For the reference: what must be so. */
  says: string;
  /** A complaint, or undefined. */
  check(config: ConfigFor<K>, host: HostFacts): string | undefined;
}

/** A key of the hypervisor's table, as the file has it. */
export function named<K extends MonitorKind>(config: ConfigFor<K>, key: keyof ConfigOf<K> & string): string {
  return `${tableOf(config, "hypervisor").path}.${key}`;
}

/** Says what is wrong, if anything is. */
export function complaint(what: string, problem: string | undefined): string | undefined {
  return problem && `${what}: ${problem}`;
}

/** For a key that names a file, or is empty. */
export function fileComplaint(
  { path, name }: { path: string; name: string },
  host: Pick<HostFacts, "fileProblem">,
): string | undefined {
  return path === "" ? undefined : complaint(`${name} "${path}"`, host.fileProblem(path));
}

/** For a key that names a program which runs as root, or which root starts. */
export function programComplaint(
  { path, name }: { path: string; name: string },
  host: Pick<HostFacts, "programProblem">,
): string | undefined {
  return path === "" ? `${name} is empty` : complaint(`${name} "${path}"`, host.programProblem(path));
}
