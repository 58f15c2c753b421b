/** The configuration that a command works with (B51). @module */
import type { Command } from "commander";
import { checkConfig } from "../../config/check.ts";
import { loadConfig } from "../../config/load.ts";
import type { Config } from "../../config/schema.ts";

/** @throws {KataError} What is wrong with it, in one line. */
export function readConfig(command: Command): { config: Config; path: string } {
  const { config: option } = command.optsWithGlobals<{ config?: string }>();
  const { config, path } = loadConfig({ commandLine: option, env: (name) => Deno.env.get(name) });
  return { config: checkConfig(config), path };
}
