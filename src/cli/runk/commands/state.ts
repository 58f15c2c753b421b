/** `runk state`: the specification's state as JSON. @module */
import { Container } from "../../../oci/container/container.ts";
import { type Command, defineCommand, homeOf, print, rootfsOf } from "../command.ts";

export const command: Command = defineCommand({
  usage: "<container-id>",
  summary: "Prints the state of a container as JSON.",
  flags: {},
  words: [1, 1],
  async run({ global, args }) {
    const container = Container.load(args[0]!, homeOf(global));
    const { ociVersion, id, pid, status, bundle, annotations } = container.state();
    const more = { rootfs: rootfsOf(container), created: container.created, owner: "" };
    print(`${JSON.stringify({ ociVersion, id, pid, status, bundle, ...more, annotations }, undefined, 2)}\n`);
    return 0;
  },
});
