/** `runk start`: lets a created container run. @module */
import { Container } from "../../oci/container.ts";
import { type Command, defineCommand, homeOf } from "./command.ts";

export const command: Command = defineCommand({
  usage: "<container-id>",
  summary: "Runs the program of a created container.",
  flags: {},
  words: [1, 1],
  async run({ global, args }) {
    await Container.load(args[0]!, homeOf(global)).start();
    return 0;
  },
});
