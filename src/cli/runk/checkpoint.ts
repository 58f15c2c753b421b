/** `runk checkpoint` and `runk restore`: answered, never half done. @module */
import { KataError } from "../../base/error.ts";
import { type Command, defineCommand } from "./command.ts";

export const command: Command = defineCommand({
  usage: "<container-id>",
  summary: "Not supported: runk does not save processes to disk.",
  flags: {
    "image-path": { kind: "text", help: "ignored" },
    "work-path": { kind: "text", help: "ignored" },
    "leave-running": { kind: "flag", help: "ignored" },
    bundle: { kind: "text", aliases: ["b"], help: "ignored" },
  },
  words: [0, 1],
  run({ args }) {
    const what = `container "${args[0] ?? ""}"`;
    return Promise.reject(
      new KataError("UNIMPLEMENTED", `Cannot checkpoint or restore ${what}: runk does not support it`),
    );
  },
});
