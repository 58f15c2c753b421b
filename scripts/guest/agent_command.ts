/**
 * How the guest's init starts the agent: the one command line, for the initramfs and for whoever must run Deno as the
 * guest does, because V8 takes compiled code only from a Deno with the same flags.
 *
 * @module
 */
import { v8Flags } from "../accelerate/v8_flags/v8_flags.ts";

/** Where the root image holds Deno, `main.js` (agent_loader/loader.js) and the agent. */
export const AGENT_DIRECTORY = "/usr/lib/kata";
export const AGENT = `${AGENT_DIRECTORY}/deno`;
/** Where Deno finds what it cached: {@linkcode CACHE_FILES}. */
export const DENO_DIRECTORY = "/tmp/deno";

/** Deno's databases that a start opens: code that V8 compiled, the modules' imports. */
export const CACHE_FILES = ["v8_code_cache_v2", "dep_analysis_cache_v2", "node_analysis_cache_v2"] as const;

/**
 * The arguments after the program's name.
 *
 * @param options `cached`: {@linkcode DENO_DIRECTORY} holds the compiled agent. All of it: functions are compiled with
 * the script that they stand in, so that the guest compiles nothing and never loads V8's parser.
 */
export function agentArguments({ cached, main }: { cached: boolean; main: string }): readonly string[] {
  return [
    "run",
    "-A",
    "--unstable-vsock",
    "--no-check",
    ...(cached ? [] : ["--no-code-cache"]), // an empty database costs more than it saves
    "--no-lock",
    "--no-config",
    "--cached-only",
    ...v8Flags("agent", cached ? ["--no-lazy"] : []),
    main,
  ];
}

/** The environment of Deno, whichever directory its caches are in. */
export const DENO_ENVIRONMENT = {
  DENO_NO_UPDATE_CHECK: "1",
  NO_COLOR: "1",
  KATA_ARGV0: "kata-agent",
  KATA_FORM: "guest",
};
