/** `runk start`: lets a created container run. @module */
import { Container } from "../../../oci/container/container.ts";
import { type Command, defineCommand, homeOf } from "../command.ts";
import { startReporting } from "../create_options.ts";

export const command: Command = defineCommand({
  usage: "<container-id>",
  summary: "Runs the program of a created container.",
  flags: {},
  words: [1, 1],
  async run({ global, args }) {
    await startReporting(Container.load(args[0]!, homeOf(global)), { root: global.root, stays: false });
    return 0;
  },
});
