/** `runk exec`: one more process in a container. @module */
import { parseSubCgroups } from "../../../oci/cgroup/sub_cgroup.ts";
import { Container } from "../../../oci/container/container.ts";
import type { Process } from "../../../oci/spec/spec.ts";
import { type Command, defineCommand, homeOf } from "../command.ts";
import { requireConsole, sendConsole, sendPidfd, serveForeground } from "../console.ts";
import { givenFds, ownStdio, PIDFD_SOCKET, writePidFile } from "../create_options.ts";
import type { Flags } from "../flags.ts";
import { changeProcess, readProcess } from "../process_spec.ts";

const FLAGS = {
  "console-socket": { kind: "text", value: "PATH", help: "unix socket that gets the terminal's master" },
  cwd: { kind: "text", value: "DIR", help: "working directory" },
  env: { kind: "list", aliases: ["e"], value: "NAME=VALUE", help: "set a variable" },
  tty: { kind: "flag", aliases: ["t"], help: "give it a terminal" },
  user: { kind: "text", aliases: ["u"], value: "UID[:GID]", help: "run as" },
  "additional-gids": { kind: "list", aliases: ["g"], value: "GID", help: "one more group" },
  process: { kind: "text", aliases: ["p"], value: "FILE", help: "the whole process as JSON" },
  detach: { kind: "flag", aliases: ["d"], help: "return once it runs" },
  "pid-file": { kind: "text", value: "FILE", help: "write the pid there" },
  "pidfd-socket": PIDFD_SOCKET,
  "process-label": { kind: "text", value: "LABEL", help: "SELinux label" },
  apparmor: { kind: "text", value: "PROFILE", help: "AppArmor profile" },
  "no-new-privs": { kind: "flag", help: "set no_new_privs" },
  cap: { kind: "list", aliases: ["c"], value: "CAPABILITY", help: "add a capability" },
  "preserve-fds": { kind: "text", value: "NUMBER", help: "hand over that many descriptors from 3 on" },
  cgroup: {
    kind: "list",
    value: "PATH",
    help: "run in an existing cgroup below the container's, as [CONTROLLER:]PATH",
  },
  "ignore-paused": { kind: "flag", help: "wait for a paused container instead of refusing" },
} as const;

export const command: Command = defineCommand({
  usage: "<container-id> <command> [arguments] or --process FILE <container-id>",
  summary: "Runs one more process in a container; returns its exit status unless --detach is given.",
  flags: FLAGS,
  words: [1, Infinity],
  flagsUntil: "word",
  // runc's, which tells it from the status of most programs.
  failureStatus: 255,
  async run({ global, flags, args: [id, ...words] }) {
    const container = Container.load(id!, homeOf(global));
    const process = describeProcess(container, { flags, words });
    requireConsole({ terminal: process.terminal === true, detach: flags.detach, socket: flags["console-socket"] });
    const running = await container.exec(process, {
      stdio: ownStdio(),
      preserveFds: givenFds(flags["preserve-fds"]),
      ignorePaused: flags["ignore-paused"],
      ...(flags.cgroup.length > 0 && { subCgroups: parseSubCgroups(flags.cgroup) }),
      detached: flags.detach,
      keepsLineEnds: !flags.detach,
    });
    if (flags["console-socket"] !== undefined) sendConsole(flags["console-socket"], running.console!);
    if (flags["pidfd-socket"] !== undefined) sendPidfd(flags["pidfd-socket"], running.pidfd);
    writePidFile(flags["pid-file"], running.pid);
    return flags.detach ? 0 : await serveForeground(running);
  },
});

function describeProcess(
  container: Container,
  given: { flags: Flags<typeof FLAGS>; words: readonly string[] },
): Process {
  const { flags, words } = given;
  const own = container.spec.process ?? { cwd: "/", user: { uid: 0, gid: 0 } };
  // Like runc: without a word on capabilities the container's hold.
  if (flags.process !== undefined) return { capabilities: own.capabilities ?? {}, ...readProcess(flags.process) };
  if (words.length === 0) throw new RangeError("Cannot exec: neither --process nor a command is given");
  return changeProcess(own, {
    args: words,
    cwd: flags.cwd,
    env: flags.env,
    user: flags.user,
    additionalGids: flags["additional-gids"],
    tty: flags.tty,
    capabilities: flags.cap,
    noNewPrivileges: flags["no-new-privs"],
    apparmor: flags.apparmor,
    processLabel: flags["process-label"],
  });
}
