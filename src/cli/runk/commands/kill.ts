/** `runk kill`: signals a container. @module */
import { parseSignal } from "../../../linux/process/signal.ts";
import { Container } from "../../../oci/container/container.ts";
import { type Command, defineCommand, homeOf } from "../command.ts";

export const command: Command = defineCommand({
  usage: "<container-id> [signal]",
  summary: "Sends a signal (a number or a name; SIGTERM without one) to the first process of a container.",
  flags: { all: { kind: "flag", aliases: ["a"], help: "send it to every process of the container" } },
  words: [1, 2],
  async run({ global, flags, args: [id, signal = "TERM"] }) {
    await Container.load(id!, homeOf(global)).kill(parseSignal(signal), { all: flags.all });
    return 0;
  },
});
