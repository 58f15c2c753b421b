/** `version`: which build this is. @module */
import type { Command } from "commander";
import { buildForm, describeBuild, VERSION } from "../../../base/version.ts";
import { print, printJson } from "../../output.ts";

/** See {@linkcode CommandFile}. */
export function define(command: Command): void {
  command
    .option("--json", "as JSON")
    .action(({ json = false }: { json?: boolean }) => {
      const build = { version: VERSION, form: buildForm(), deno: Deno.version.deno, target: Deno.build.target };
      if (json) printJson(build);
      else print(`${describeBuild(command.parent!.name())}\n`);
    });
}
