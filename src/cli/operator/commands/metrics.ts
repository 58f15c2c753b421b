/** `metrics SANDBOX`: what the sandbox's shim tells of it. @module */
import type { Command } from "commander";
import { parseFamilies } from "../../../base/prometheus.ts";
import { plainText } from "../../../base/text.ts";
import { openManagement } from "../../../shim_api/client.ts";
import { print, printJson } from "../../output.ts";

/** See {@linkcode CommandFile}. */
export function define(command: Command): void {
  command
    .argument("<sandbox>", "its id, or the beginning of it")
    .option("--json", "families with their samples, as JSON")
    .action(async (id: string, { json = false }: { json?: boolean }) => {
      using shim = openManagement(id, command.optsWithGlobals<{ root: string }>());
      const text = plainText(await shim.metrics());
      if (json) printJson(parseFamilies(text));
      else print(text);
    });
}
