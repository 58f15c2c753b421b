/** `explain KEY`: what the rows of the configuration say of a key. @module */
import type { Command } from "commander";
import { explain, explanations } from "../../../config/reference/explain.ts";
import { print, printJson } from "../../output.ts";

/** See {@linkcode CommandFile}. */
export function define(command: Command): void {
  command
    .argument("<key>", "with its tables or without, an older name, or an annotation")
    .option("--json", "each key with its facts, as JSON")
    .action((name: string, { json = false }: { json?: boolean }) => {
      if (json) printJson(explanations(name));
      else print(explain(name));
    });
}
