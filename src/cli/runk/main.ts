/**
 * runk: the container engine with an OCI runtime's command line, as containerd, Docker, Podman and people call runc.
 *
 * Each command is a file, loaded only when it is called, because a start of a container pays for all that is loaded.
 *
 * @module
 */
import { errorChain } from "../../base/error.ts";
import type { Logger } from "../../base/log.ts";
import { plainText, quoted } from "../../base/text.ts";
import { VERSION } from "../../base/version.ts";
import { configurePolling } from "../../linux/io/poll.ts";
import { describeErrnos } from "../../linux/ffi/strerror.ts";
import { type Command, print } from "./command.ts";
import { describeFlags, type Flags, parseFlags } from "./flags.ts";
import { openLog, textLine } from "./log.ts";

const SPEC_VERSION = "1.2.0";

const COMMANDS: Readonly<Record<string, () => Promise<{ command: Command }>>> = {
  checkpoint: () => import("./commands/checkpoint.ts"),
  create: () => import("./commands/create.ts"),
  delete: () => import("./commands/delete.ts"),
  events: () => import("./commands/events.ts"),
  exec: () => import("./commands/exec.ts"),
  features: () => import("./commands/features.ts"),
  kill: () => import("./commands/kill.ts"),
  list: () => import("./commands/list.ts"),
  pause: () => import("./commands/pause.ts"),
  ps: () => import("./commands/ps.ts"),
  restore: () => import("./commands/checkpoint.ts"),
  resume: () => import("./commands/resume.ts"),
  run: () => import("./commands/run.ts"),
  spec: () => import("./commands/spec.ts"),
  start: () => import("./commands/start.ts"),
  state: () => import("./commands/state.ts"),
  update: () => import("./commands/update.ts"),
};

const GLOBAL = {
  root: { kind: "text", value: "DIR", help: "where container states are kept (default /run/runk)" },
  log: { kind: "text", value: "FILE", help: "append log records to this file" },
  "log-format": { kind: "text", value: "FORMAT", help: "text (default) or json" },
  debug: { kind: "flag", help: "log more" },
  "systemd-cgroup": { kind: "flag", help: "let systemd manage cgroups" },
  rootless: {
    kind: "text",
    value: "VALUE",
    help: "go without a cgroup if none may be made: true, false or auto (default)",
  },
  criu: { kind: "text", value: "PATH", help: "accepted for runc's sake; there is no checkpoint" },
  version: { kind: "flag", aliases: ["v"], help: "print the version" },
  help: { kind: "flag", aliases: ["h"], help: "print this text" },
} as const;

/** @returns The exit status: the container's for `run` and `exec`, else 0, or 1 after any error. */
export async function main(args: readonly string[]): Promise<number> {
  let log: Logger | undefined;
  let isLogged = false;
  try {
    const { flags, rest } = parseFlags(GLOBAL, args);
    if (flags.version) return version();
    const [name, asked] = rest;
    if (name === "help" && asked !== undefined) return await dispatch([asked, "--help"], flags, openLog(NO_LOG));
    if (flags.help || name === undefined || name === "help") return usage();
    log = openLog({ file: flags.log, format: flags["log-format"] ?? "text", debug: flags.debug });
    isLogged = Boolean(flags.log);
    return await dispatch(rest, flags, log);
  } catch (error) {
    // Docker and Podman tell a program that is missing from one that may not run by these words.
    const message = plainText(describeErrnos(errorChain(error)));
    log?.error(message);
    // As runc does: stderr gets the plain message if the record is in a log file, else the record.
    const shown = isLogged ? `${message}\n` : textLine(message, "error");
    Deno.stderr.writeSync(new TextEncoder().encode(shown));
    return error instanceof CommandFailure ? error.status : 1;
  }
}

const NO_LOG = { file: undefined, format: "text", debug: false };

/** A command failed whose status then is not 1. Its cause is the error to be shown. */
class CommandFailure extends Error {
  readonly status: number;

  constructor(status: number, cause: unknown) {
    super(errorChain(cause));
    this.status = status;
  }
}

async function dispatch(
  [name = "", ...words]: readonly string[],
  given: Flags<typeof GLOBAL>,
  log: Logger,
): Promise<number> {
  const load = COMMANDS[name];
  if (load === undefined) {
    throw new RangeError(`Cannot run command "${name}": known are ${Object.keys(COMMANDS).join(", ")}`);
  }
  const { command } = await load();
  const help = { help: { kind: "flag", aliases: ["h"], help: "print this text" } } as const;
  const { flags, rest } = parseFlags({ ...command.flags, ...help }, words, command.flagsUntil ?? "end");
  if (flags.help === true) return commandUsage(name, command);
  const [least, most] = command.words;
  if (rest.length < least || rest.length > most) {
    throw new RangeError(`Cannot ${name}: ${rest.length} arguments given, expected ${name} [options] ${command.usage}`);
  }
  // runk does one thing after the other until it serves a process in the foreground.
  configurePolling("inline");
  const { root = defaultRoot(), "systemd-cgroup": systemdCgroup, rootless } = given;
  log.debug(`command ${name}: ${rest.map(quoted).join(" ")}`);
  const global = { root, isRootNamed: given.root !== undefined, systemdCgroup, rootless, log };
  const { failureStatus } = command;
  try {
    return await command.run({ global, flags, args: rest });
  } catch (cause) {
    throw failureStatus === undefined ? cause : new CommandFailure(failureStatus, cause);
  }
}

/** As runc: a user without root's rights has a place of its own. */
function defaultRoot(): string {
  const runtimeDir = Deno.env.get("XDG_RUNTIME_DIR");
  return Deno.uid() === 0 || runtimeDir === undefined ? "/run/runk" : `${runtimeDir}/runk`;
}

function version(): number {
  print(`runk version ${VERSION}\nspec: ${SPEC_VERSION}\n`);
  return 0;
}

function usage(): number {
  const commands = Object.keys(COMMANDS).map((name) => `   ${name}\n`).join("");
  print(
    `Usage: runk [global options] command [options] [arguments]\n\nCommands:\n${commands}\nGlobal options:\n${
      describeFlags(GLOBAL)
    }`,
  );
  return 0;
}

function commandUsage(name: string, { usage, summary, flags }: Command): number {
  print(`Usage: runk ${name} [options] ${usage}\n\n${summary}\n\nOptions:\n${describeFlags(flags)}`);
  return 0;
}
