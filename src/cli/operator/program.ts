/**
 * kata-runtime and kata-ctl: look at this host's sandboxes and what they start from, and steer them. Both names have all
 * commands, so that scripts written for either of Kata's own programs work.
 *
 * @module
 */
import { Command, CommanderError } from "commander";
import { VERSION } from "../../base/version.ts";
import { nearest } from "../../config/nearest.ts";
import { quoted } from "../../base/text.ts";
import { DEFAULT_PATHS } from "../../config/places.ts";
import { DEFAULT_ROOTS } from "../../sandbox/roots.ts";
import { print } from "../output.ts";
import { type CommandRow, COMMANDS } from "./commands.ts";

/** Exit status for a command line that makes no sense. */
const USAGE_STATUS = 2;

/** Runs a command line. @returns The exit status: 0, or 2 for one that makes no sense. Failures of commands are thrown. */
export async function runOperator(name: string, args: readonly string[]): Promise<number> {
  const program = new Command(name)
    .description("Looks after the sandboxes of this host.")
    .version(VERSION)
    .option("--config <file>", "configuration file; default: KATA_CONF_FILE, then the default paths")
    .option("--root <directory>", "where running sandboxes are", DEFAULT_ROOTS.run)
    .option("--show-default-config-paths", "print where a configuration is looked for, best first")
    .allowExcessArguments()
    .helpCommand("help [command]", "print the help of a command")
    .exitOverride()
    .configureOutput({
      writeOut: print,
      outputError: (text, write) => write(`${name}: ${text.replace(/^error: /, "").trim().replaceAll("\n", " ")}\n`),
    })
    .action(({ showDefaultConfigPaths }, command: Command) => {
      const [unknown] = command.args;
      if (unknown !== undefined) refuse(command, unknown);
      if (!showDefaultConfigPaths) return command.help();
      print(DEFAULT_PATHS.map((path) => `${path}\n`).join(""));
    });
  for (const row of COMMANDS) addStub(program, row);
  program.hook("preSubcommand", async (_, command) => {
    const row = COMMANDS.find((one) => one.name === command.name());
    (await row?.load())?.define(command);
    inherit(program);
  });
  try {
    const [first, asked, ...rest] = args;
    const words = first === "help" && asked !== undefined ? [asked, ...rest, "--help"] : [...args];
    await program.parseAsync(words, { from: "user" });
    return 0;
  } catch (error) {
    // Help and version end so as well; what went wrong was printed.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE_STATUS;
    throw error;
  }
}

function refuse(command: Command, unknown: string): never {
  const near = nearest(unknown, COMMANDS.map(({ name }) => name));
  const hint = near === undefined ? `known are ${COMMANDS.map(({ name }) => name).join(", ")}` : `nearest is ${near}`;
  command.error(`Cannot run command ${quoted(unknown)}: ${hint}`);
}

/** A command without what its file says of it. */
function addStub(program: Command, { name, summary, examples }: CommandRow): void {
  const lines = examples.map(([words, does]) => `  ${program.name()} ${words}\n      ${does}\n`);
  const stub = program.command(name).description(summary).addHelpText("after", `\nExamples:\n${lines.join("")}`);
  stub.helpOption("-h, --help", "print this text");
}

const REFUSED = false;

/** Applies the program's settings to all its commands, which take no other words than theirs. */
function inherit(command: Command): void {
  for (const each of command.commands) inherit(each.copyInheritedSettings(command).allowExcessArguments(REFUSED));
}
