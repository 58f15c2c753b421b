/** `runk pause`. @module */
import { Container } from "../../../oci/container/container.ts";
import { type Command, defineCommand, homeOf } from "../command.ts";

export const command: Command = defineCommand({
  usage: "<container-id>",
  summary: "Stops every process of a container where it is.",
  flags: {},
  words: [1, 1],
  async run({ global, args }) {
    await Container.load(args[0]!, homeOf(global)).pause();
    return 0;
  },
});
