/**
 * kata-runtime: looks at this host's sandboxes and what they start from, and steers them.
 *
 * @module
 */
import { Command, CommanderError } from "commander";
import { VERSION } from "../../base/version.ts";
import { DEFAULT_PATHS } from "../../config/places.ts";
import { print } from "../output.ts";
import { factoryCommand } from "./commands/factory.ts";

/** @returns The exit status: 0, or 1 for a command line that makes no sense. Failures of commands are thrown. */
export async function main(args: readonly string[]): Promise<number> {
  const program = new Command("kata-runtime")
    .description("Looks after the sandboxes of this host.")
    .version(VERSION)
    .option("--config <file>", "configuration file; default: KATA_CONF_FILE, then the default paths")
    .option("--show-default-config-paths", "print where a configuration is looked for, best first")
    .exitOverride()
    .configureOutput({ writeOut: print })
    .action(({ showDefaultConfigPaths }, command: Command) => {
      if (!showDefaultConfigPaths) return command.help();
      print(DEFAULT_PATHS.map((path) => `${path}\n`).join(""));
    });
  program.addCommand(factoryCommand());
  inherit(program);
  try {
    await program.parseAsync([...args], { from: "user" });
    return 0;
  } catch (error) {
    // Help and version end so as well; what went wrong was printed.
    if (error instanceof CommanderError) return error.exitCode;
    throw error;
  }
}

/** Applies the program's settings to all its commands. */
function inherit(command: Command): void {
  for (const each of command.commands) inherit(each.copyInheritedSettings(command));
}
