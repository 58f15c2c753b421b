/** Everything about a process that can be decided before it exists. @module */
import { quoted } from "../../base/text.ts";
import { lastCapability } from "../../linux/security/rights.ts";
import { KataError } from "../../base/error.ts";
import type { Logger } from "../../base/log.ts";
import { type CompiledSeccomp, compileSeccomp } from "../../linux/security/seccomp.ts";
import { execCandidates } from "../../linux/child_program/calls.ts";
import {
  type CapabilitySets,
  capabilitySets,
  readCapabilitySet,
  unknownCapabilities,
} from "../security/capabilities.ts";
import { type RlimitCall, rlimitCall } from "./rlimits.ts";
import type { Linux, Process, Seccomp } from "../spec/spec.ts";
import { type Bind, completeEnvironment, homeOf, readPasswd } from "./user.ts";

/** Where execvp(3) looks if the environment has no PATH. */
const DEFAULT_PATH = "/bin:/usr/bin";

export interface ProcessPlan {
  process: Process;
  args: readonly string[];
  env: readonly string[];
  /** Paths to try, inside the container. */
  candidates: readonly string[];
  capabilities: CapabilitySets;
  /** Numbers from 0 to this one are capabilities of the running kernel. */
  lastCapability: number;
  rlimits: readonly RlimitCall[];
  seccomp: CompiledSeccomp | undefined;
}

export interface PlanOptions {
  linux: Linux | undefined;
  /** The container's root as we see it: for the user's home. */
  rootfs: string;
  /** Bind mounts planned below `rootfs`. */
  binds?: readonly Bind[];
  log: Logger | undefined;
  program?: Program | undefined;
}

/** A program run instead of a process's own, with the rights of the process: a hook. */
export interface Program {
  /** Absolute, inside the container. */
  path: string;
  /** Without it, the process's own. */
  env?: readonly string[];
}

/** @throws {KataError} INVALID_ARGUMENT: a seccomp profile that cannot be obeyed. */
export function planProcess(process: Process, options: PlanOptions): ProcessPlan {
  const { linux, rootfs, binds = [], log, program } = options;
  for (const name of unknownCapabilities(process.capabilities)) {
    log?.warning(`skipping unknown capability ${quoted(name)}`);
  }
  const args = process.args ?? [];
  const env = program?.env ??
    completeEnvironment(process.env ?? [], () => homeOf(readPasswd(rootfs, binds), process.user.uid));
  const searchPath = env.findLast((entry) => entry.startsWith("PATH="))?.slice("PATH=".length) || DEFAULT_PATH;
  const last = lastCapability();
  return {
    process,
    args,
    env,
    candidates: program === undefined ? execCandidates(args[0] ?? "", searchPath) : [program.path],
    capabilities: capabilitySets(process.capabilities, availableCapabilities(linux, last)),
    lastCapability: last,
    rlimits: (process.rlimits ?? []).map(rlimitCall),
    seccomp: isFilter(linux?.seccomp) ? compile(linux.seccomp) : undefined,
  };
}

/** Capabilities that can be given: ours, or all in a user namespace, whose first process has them all. */
function availableCapabilities(linux: Linux | undefined, lastCapability: number): bigint {
  if (linux?.namespaces?.some(({ type }) => type === "user")) return (1n << BigInt(lastCapability + 1)) - 1n;
  return own ??= readCapabilitySet(Deno.readTextFileSync("/proc/self/status"), "CapPrm");
}

/** Ours, which we never give up. */
let own: bigint | undefined;

/** An empty profile asks for nothing, as other runtimes have it: some clients write it for "none". */
function isFilter(profile: Seccomp | undefined): profile is Seccomp {
  return profile !== undefined && Boolean(profile.defaultAction || profile.syscalls?.length);
}

function compile(profile: Seccomp): CompiledSeccomp {
  try {
    return compileSeccomp(profile);
  } catch (cause) {
    throw new KataError("INVALID_ARGUMENT", "Cannot use the seccomp profile", { cause });
  }
}

/**
 * Words a failed execve for the shell user as container engines look for it: a name that no directory of the PATH has
 * as an executable is "not found", even if another file of that name is there.
 */
export function explainExec(name: string, code: string): Error {
  const isMissing = code === "ENOENT" || code === "ENOTDIR";
  const isSearched = !name.includes("/");
  const failed = (why: string, kind: "NOT_FOUND" | "PERMISSION_DENIED" = "NOT_FOUND") =>
    new KataError(kind, `exec: ${quoted(name)}: ${why}`);
  if (isSearched && (isMissing || code === "EACCES")) return failed("executable file not found in $PATH");
  if (isMissing) return failed(`stat ${name}: no such file or directory`);
  return code === "EACCES" ? failed("permission denied", "PERMISSION_DENIED") : failed(code);
}
