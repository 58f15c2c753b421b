/** `runk resume`. @module */
import { Container } from "../../../oci/container/container.ts";
import { type Command, defineCommand, homeOf } from "../command.ts";

export const command: Command = defineCommand({
  usage: "<container-id>",
  summary: "Lets a paused container go on.",
  flags: {},
  words: [1, 1],
  async run({ global, args }) {
    await Container.load(args[0]!, homeOf(global)).resume();
    return 0;
  },
});
