/** `runk spec`: a config.json to start from. @module */
import { type Command, defineCommand } from "../command.ts";
import { rootlessTemplate, template } from "../template.ts";

export const command: Command = defineCommand({
  usage: "",
  summary: "Writes a template of config.json.",
  flags: {
    bundle: { kind: "text", aliases: ["b"], value: "DIR", help: "where to write it (default: here)" },
    rootless: { kind: "flag", help: "for a user without root's rights" },
  },
  words: [0, 0],
  async run({ flags }) {
    const path = `${flags.bundle ?? "."}/config.json`;
    const spec = flags.rootless ? rootlessTemplate() : template();
    try {
      Deno.writeTextFileSync(path, `${JSON.stringify(spec, undefined, "\t")}\n`, { createNew: true, mode: 0o666 });
    } catch (cause) {
      if (cause instanceof Deno.errors.AlreadyExists) {
        throw new Error(`Cannot write "${path}": it exists, remove it first`);
      }
      throw new Error(`Cannot write "${path}"`, { cause });
    }
    return 0;
  },
});
