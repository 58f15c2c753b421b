/**
 * Interface of a command of runk. `main.ts` parses and dispatches, a command does one operation on one container and
 * words its result.
 *
 * @module
 */
import type { Logger } from "../../base/log.ts";
import { detectCgroups } from "../../linux/cgroup/cgroup.ts";
import type { Container, Home } from "../../oci/container/container.ts";
import { type Flags, type FlagTable, parseBoolean } from "./flags.ts";

export { print } from "../output.ts";

/** The options before the command. */
export interface GlobalOptions {
  /** Where container states are kept. */
  root: string;
  /** Whether the caller has named it: then it has to be there. */
  isRootNamed: boolean;
  systemdCgroup: boolean;
  /** Whether errors of rights over cgroups are passed over: `true`, `false`, or `auto` (as undefined). */
  rootless: string | undefined;
  log: Logger;
}

export interface Call<T extends FlagTable> {
  global: GlobalOptions;
  flags: Flags<T>;
  /** Words besides the flags, the container's id first where the command takes one. */
  args: readonly string[];
}

export interface Command<T extends FlagTable = FlagTable> {
  /** Words besides the flags, such as `<container-id>`. */
  readonly usage: string;
  readonly summary: string;
  readonly flags: T;
  /** Least and most number of words. */
  readonly words: readonly [number, number];
  /** End of the flags: the first other word if those are for another program, else nothing. */
  readonly flagsUntil?: "word";
  /** Exit status after an error of the command itself; 1 without it. */
  readonly failureStatus?: number;
  /** @returns The exit status. */
  run(call: Call<T>): Promise<number>;
}

/** Lets the compiler infer the flags of a command's `run` from its table. */
export function defineCommand<const T extends FlagTable>(command: Command<T>): Command {
  return command as unknown as Command;
}

/** Where the engine keeps and finds containers. */
export function homeOf({ root, log, systemdCgroup, rootless }: GlobalOptions): Home {
  return {
    stateRoot: root,
    cgroups: detectCgroups(),
    systemd: systemdCgroup,
    rootless: rootless === undefined || rootless === "auto" ? isRootless() : parseBoolean("rootless", rootless),
    log,
  };
}

/** As runc: a plain user, or root of a user namespace only. */
function isRootless(): boolean {
  if (Deno.uid() !== 0) return true;
  return !/^\s*0\s+0\s+4294967295\s*$/.test(Deno.readTextFileSync("/proc/self/uid_map"));
}

/** The container's root as an absolute path. */
export function rootfsOf({ bundle, spec }: Container): string {
  const path = spec.root?.path ?? "rootfs";
  return path.startsWith("/") ? path : `${bundle}/${path}`;
}
