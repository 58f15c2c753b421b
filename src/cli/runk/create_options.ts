/** Parts shared by `create` and `run`: their flags, reading the bundle, and creating the container. @module */
import { KataError } from "../../base/error.ts";
import { Fd, isInherited } from "../../linux/io/fd.ts";
import { writeWholeFile } from "../../linux/fs/whole_file.ts";
import { Container, type CreateOptions } from "../../oci/container/container.ts";
import { parseSpec, type Spec } from "../../oci/spec/spec.ts";
import { type GlobalOptions, homeOf } from "./command.ts";
import type { Flags } from "./flags.ts";

/** Of `create`, `run` and `exec`. */
export const PIDFD_SOCKET = {
  kind: "text",
  value: "PATH",
  help: "unix socket that gets a descriptor of the process",
} as const;

export const CREATE_FLAGS = {
  bundle: { kind: "text", aliases: ["b"], value: "DIR", help: "directory that holds config.json (default: here)" },
  "console-socket": { kind: "text", value: "PATH", help: "unix socket that gets the terminal's master" },
  "pid-file": { kind: "text", value: "FILE", help: "write the pid of the first process there" },
  "pidfd-socket": PIDFD_SOCKET,
  "no-pivot": { kind: "flag", help: "move the root instead of pivot_root, for a machine that runs in an initramfs" },
  "no-new-keyring": { kind: "flag", help: "keep the session keyring of the caller" },
  "preserve-fds": { kind: "text", value: "NUMBER", help: "hand over that many descriptors from 3 on" },
} as const;

type CreateFlags = Flags<typeof CREATE_FLAGS>;

export interface CreateCall {
  id: string;
  global: GlobalOptions;
  flags: CreateFlags;
}

/** @throws {Error} Naming the bundle's file that cannot be read, or what is wrong in it. */
export function createOptions({ id, global, flags }: CreateCall): CreateOptions {
  const bundle = Deno.realPathSync(flags.bundle ?? ".");
  const spec = readSpec(`${bundle}/config.json`);
  if (Object.keys(spec.linux?.intelRdt ?? {}).length > 0) {
    throw new KataError("UNIMPLEMENTED", `Cannot create container "${id}": runk does not support Intel RDT`);
  }
  const listenFds = passListeners(spec);
  const home = homeOf(global);
  // On a host, silence about devices is no permission to use its disks.
  if (!home.rootless) spec.linux = { ...spec.linux, resources: spec.linux?.resources ?? {} };
  return {
    ...home,
    id,
    bundle,
    spec,
    noPivotRoot: flags["no-pivot"],
    noNewKeyring: flags["no-new-keyring"],
    preserveFds: givenFds(flags["preserve-fds"], { listenFds }),
  };
}

/**
 * Sockets that systemd has opened for us are for the container.
 *
 * @returns How many there are, from descriptor 3 on.
 * @see https://www.freedesktop.org/software/systemd/man/sd_listen_fds.html
 */
function passListeners({ process }: Spec): number {
  const count = Number(Deno.env.get("LISTEN_FDS") ?? 0);
  if (!(count > 0) || process === undefined || Deno.env.get("LISTEN_PID") !== String(Deno.pid)) return 0;
  process.env = [...process.env ?? [], `LISTEN_FDS=${count}`, "LISTEN_PID=1"];
  return count;
}

/** The socket of NOTIFY_SOCKET, for the container, if we have one. */
export async function notifyPreparation(spec: Spec): Promise<Pick<CreateOptions, "prepare">> {
  if (!Deno.env.get("NOTIFY_SOCKET")) return {};
  const { addNotifySocket } = await import("./notify.ts");
  return { prepare: (stateDirectory) => addNotifySocket(spec, stateDirectory) };
}

function readSpec(path: string): Spec {
  try {
    return parseSpec(Deno.readTextFileSync(path));
  } catch (cause) {
    throw new Error(`Cannot read "${path}"`, { cause });
  }
}

/**
 * How many descriptors from 3 on are handed over.
 *
 * @param text The value of `--preserve-fds`.
 * @param options `listenFds`: how many come before those.
 * @throws {RangeError} No whole number, too many, or one that our caller has not given us: by that number we may have a
 *   file of our own.
 */
export function givenFds(text = "0", { listenFds = 0 }: { listenFds?: number } = {}): number {
  if (!/^\d{1,4}$/.test(text)) throw new RangeError(`Cannot use "${text}" for --preserve-fds: expected a whole number`);
  const count = listenFds + Number(text);
  for (let number = 3; number < 3 + count; number++) {
    if (isInherited(number)) continue;
    const what = number < 3 + listenFds ? `${listenFds} descriptors of LISTEN_FDS` : `--preserve-fds ${text}`;
    throw new RangeError(`Cannot hand over ${what}: descriptor ${number} is not open`);
  }
  return count;
}

/** Our own stdin, stdout and stderr, which the container's first process inherits. */
export function ownStdio(): { stdin: Fd; stdout: Fd; stderr: Fd } {
  return { stdin: new Fd(0), stdout: new Fd(1), stderr: new Fd(2) };
}

/** Creates the container; if `then` fails, takes it away again. */
export async function withCreated<T>(options: CreateOptions, then: (container: Container) => Promise<T>): Promise<T> {
  const container = await Container.create(options);
  try {
    return await then(container);
  } catch (error) {
    await container.delete({ force: true }).catch((suppressed: unknown) => {
      throw new SuppressedError(suppressed, error);
    });
    throw error;
  }
}

/**
 * Starts the container; if somebody waits for its readiness, that is passed on: when it comes while we stay, before this
 * settles if we leave.
 *
 * @param stays We are the process that systemd is to look after.
 */
export async function startReporting(
  container: Container,
  { root, stays }: { root: string; stays: boolean },
): Promise<void> {
  const target = Deno.env.get("NOTIFY_SOCKET");
  if (!target) return await container.start();
  const { Readiness } = await import("./notify.ts");
  const readiness = Readiness.listen(`${root}/${container.id}`, target);
  await container.start();
  const passed = readiness.pass({ pid: container.pid, mainPid: stays ? Deno.pid : container.pid })
    .finally(() => readiness[Symbol.dispose]());
  if (stays) void passed.catch(() => {}); // nobody to tell
  else await passed;
}

/** A reader never sees half a number. No newline, as runc. */
export function writePidFile(path: string | undefined, pid: number): void {
  if (path === undefined) return;
  try {
    writeWholeFile(path, String(pid), { mode: 0o644 });
  } catch (cause) {
    throw new Error(`Cannot write pid file "${path}"`, { cause });
  }
}
