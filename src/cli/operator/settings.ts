/** The configuration that a command works with (B51). @module */
import type { Command } from "commander";
import { checkConfig, warnOfPlanned } from "../../config/check.ts";
import { loadConfig } from "../../config/load.ts";
import type { Config } from "../../config/schema.ts";

/** Changes what the files say, for one command. */
export type ConfigChange = (config: Config) => Config;

function unchanged(config: Config): Config {
  return config;
}

/**
 * Says on standard error what of it has no effect yet.
 *
 * @throws {KataError} What is wrong with it, in one line.
 */
export function readConfig(command: Command, change: ConfigChange = unchanged): { config: Config; path: string } {
  const { config: option } = command.optsWithGlobals<{ config?: string }>();
  const { config: base, path, warnings } = loadConfig({ commandLine: option, env: (name) => Deno.env.get(name) });
  const config = change(base);
  const lines = [...warnings, ...warnOfPlanned(config)].map((warning) => `${programName(command)}: ${warning}\n`);
  if (lines.length > 0) Deno.stderr.writeSync(new TextEncoder().encode(lines.join("")));
  checkConfig(config);
  return { config, path };
}

function programName(command: Command): string {
  return command.parent === null ? command.name() : programName(command.parent);
}
