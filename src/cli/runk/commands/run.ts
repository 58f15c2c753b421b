/** `runk run`: create and start; in the foreground also wait and delete. @module */
import type { Container } from "../../../oci/container/container.ts";
import { type Command, defineCommand } from "../command.ts";
import { requireConsole, sendConsole, sendPidfd, serveForeground } from "../console.ts";
import {
  CREATE_FLAGS,
  createOptions,
  notifyPreparation,
  ownStdio,
  startReporting,
  withCreated,
  writePidFile,
} from "../create_options.ts";

const FLAGS = {
  ...CREATE_FLAGS,
  detach: { kind: "flag", aliases: ["d"], help: "return once it runs" },
  keep: { kind: "flag", help: "keep the container's state after its end" },
  "no-subreaper": { kind: "flag", help: "accepted for runc's sake: we never are one" },
} as const;

export const command: Command = defineCommand({
  usage: "<container-id>",
  summary: "Creates and starts a container; returns its exit status unless --detach is given.",
  flags: FLAGS,
  words: [1, 1],
  async run({ global, flags, args }) {
    const options = createOptions({ id: args[0]!, global, flags });
    const terminal = options.spec.process?.terminal === true;
    requireConsole({ terminal, detach: flags.detach, socket: flags["console-socket"] });
    const prepare = await notifyPreparation(options.spec);
    return await withCreated(
      { ...options, ...prepare, stdio: ownStdio(), detached: flags.detach, keepsLineEnds: !flags.detach },
      async (container) => {
        if (flags["console-socket"] !== undefined) sendConsole(flags["console-socket"], container.init!.console!);
        if (flags["pidfd-socket"] !== undefined) sendPidfd(flags["pidfd-socket"], container.init!.pidfd);
        writePidFile(flags["pid-file"], container.init!.pid);
        if (!flags.detach) return await foreground(container, { root: global.root, keep: flags.keep });
        await startReporting(container, { root: global.root, stays: false });
        return 0;
      },
    );
  },
});

async function foreground(
  container: Container,
  { root, keep }: { root: string; keep: boolean },
): Promise<number> {
  const status = await serveForeground(container.init!, () => startReporting(container, { root, stays: true }));
  if (!keep) await container.delete({ force: true });
  return status;
}
