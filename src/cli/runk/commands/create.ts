/** `runk create`: makes a container whose program waits for `start`. @module */
import { type Command, defineCommand } from "../command.ts";
import { sendConsole, sendPidfd } from "../console.ts";
import {
  CREATE_FLAGS,
  createOptions,
  notifyPreparation,
  ownStdio,
  withCreated,
  writePidFile,
} from "../create_options.ts";

export const command: Command = defineCommand({
  usage: "<container-id>",
  summary: "Creates a container from a bundle. Its program waits for start.",
  flags: CREATE_FLAGS,
  words: [1, 1],
  async run({ global, flags, args }) {
    const options = createOptions({ id: args[0]!, global, flags });
    const terminal = options.spec.process?.terminal === true;
    if (terminal !== (flags["console-socket"] !== undefined)) {
      throw new Error(
        terminal
          ? "Cannot create a container with a terminal without --console-socket"
          : "Cannot use --console-socket: the process wants no terminal",
      );
    }
    const prepare = await notifyPreparation(options.spec);
    await withCreated({ ...options, ...prepare, stdio: ownStdio(), detached: true }, async ({ init }) => {
      if (flags["console-socket"] !== undefined) sendConsole(flags["console-socket"], init!.console!);
      if (flags["pidfd-socket"] !== undefined) sendPidfd(flags["pidfd-socket"], init!.pidfd);
      writePidFile(flags["pid-file"], init!.pid);
    });
    return 0;
  },
});
