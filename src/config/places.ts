/** Places of configurations (B51). Programs named by one run as root, so it must be the administrator's. @module */
import { quoted } from "../base/text.ts";
import { KataError } from "../base/error.ts";
import { isErrno } from "../linux/ffi/errno.ts";
import { openTrusted, type TrustedFile, UntrustedError } from "../linux/fs/trusted.ts";

/** Where a configuration is looked for when nobody names one, best first. */
export const DEFAULT_PATHS: readonly string[] = [
  "/etc/kata-containers/configuration.toml",
  "/usr/share/defaults/kata-containers/configuration.toml",
];

/** A pod may choose among the configurations in and below these, and none besides. */
export const POD_DIRECTORIES: readonly string[] = [
  "/etc/kata-containers",
  "/usr/share/defaults/kata-containers",
  "/usr/local/share/defaults/kata-containers",
  "/opt/kata/share/defaults/kata-containers",
];

export interface Places {
  /** Path from the annotation of a sandbox, written by any user who may make pods. */
  annotation?: string | undefined;
  /** Path from `--config` of a command line tool; may be relative. */
  commandLine?: string | undefined;
  /** Path from the shim's options, which stand in containerd's configuration. */
  optionsPath?: string | undefined;
  /** Looks up `KATA_CONF_FILE`. */
  env?: (name: string) => string | undefined;
  defaultPaths?: readonly string[];
  podDirectories?: readonly string[];
}

/**
 * Opens the configuration that is named, the best place first: annotation, command line, options, `KATA_CONF_FILE`. Only
 * if none is named, it is the first of the usual places that exists.
 *
 * @throws {KataError} NOT_FOUND: what is named does not exist, or nothing is named and nothing is in its usual place.
 * PERMISSION_DENIED: a pod named a file that is not for pods, or others than the administrator can change the file.
 */
export function openConfig(places: Places): TrustedFile {
  if (places.annotation) return openForPod(places.annotation, places.podDirectories ?? POD_DIRECTORIES);
  const named = absolute(places.commandLine) || places.optionsPath || places.env?.("KATA_CONF_FILE");
  if (named) return open(named) ?? notFound(`"${named}" does not exist`);
  const { defaultPaths = DEFAULT_PATHS } = places;
  for (const path of defaultPaths) {
    const file = open(path);
    if (file !== undefined) return file;
  }
  return notFound(`none of ${defaultPaths.join(", ")} exists`);
}

/**
 * Opens what stands at or below a place that the configuration's own file names.
 *
 * @returns Nothing if there is none.
 * @throws {KataError} As {@linkcode openConfig}.
 */
export function open(path: string): TrustedFile | undefined {
  try {
    return openTrusted(path);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    if (error instanceof UntrustedError) {
      const rule = "it and each directory above it must be root's, and nobody else may write to them";
      throw new KataError("PERMISSION_DENIED", `Cannot use configuration "${path}": ${error.message}; ${rule}`);
    }
    throw unreadable(path, error);
  }
}

/** The file system is not touched for a path elsewhere: whether something is there is none of a pod's business. */
function openForPod(path: string, directories: readonly string[]): TrustedFile {
  const isAllowed = (text: string) =>
    directories.some((directory) => text.startsWith(`${directory}/`)) && text.endsWith(".toml") &&
    !text.split("/").includes("..");
  const named = `annotation io.katacontainers.config_path ${quoted(path)}`;
  const choice = `a pod chooses among the *.toml files in and below ${directories.join(", ")}`;
  const refusal = new KataError("PERMISSION_DENIED", `Cannot use ${named}: ${choice}`);
  if (!isAllowed(path)) throw refusal;
  const file = open(path) ?? notFound(`${named} does not exist; ${choice}`);
  if (isAllowed(file.path)) return file;
  file[Symbol.dispose]();
  throw refusal;
}

function absolute(path = ""): string {
  return path === "" || path.startsWith("/") ? path : `${Deno.cwd()}/${path}`;
}

function notFound(what: string): never {
  throw new KataError("NOT_FOUND", `Cannot find a configuration file: ${what}`);
}

/** Deno's own message for a file it cannot open holds the path or not, depending on the call: name file and errno. */
export function unreadable(path: string, cause: unknown): KataError {
  const code = cause instanceof Error ? "code" in cause ? cause.code : cause.message : cause;
  return new KataError("INVALID_ARGUMENT", `Cannot read configuration "${path}": ${code}`);
}
