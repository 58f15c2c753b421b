/** `runk delete`: takes a container away. @module */
import { errorCode } from "../../../base/error.ts";
import { Container } from "../../../oci/container/container.ts";
import { type Command, defineCommand, homeOf } from "../command.ts";

export const command: Command = defineCommand({
  usage: "<container-id>",
  summary: "Deletes a stopped container and all that was made for it.",
  flags: { force: { kind: "flag", aliases: ["f"], help: "kill it first if it runs; succeed if there is none" } },
  words: [1, 1],
  async run({ global, flags, args }) {
    const [id, home] = [args[0]!, homeOf(global)];
    try {
      await Container.load(id, home).delete({ force: flags.force });
    } catch (error) {
      if (!flags.force || errorCode(error) !== "NOT_FOUND") throw error;
      await Container.removeRemains(id, home);
    }
    return 0;
  },
});
