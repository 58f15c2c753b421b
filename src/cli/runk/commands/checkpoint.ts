/** `runk checkpoint` and `runk restore`: answered, never half done. @module */
import { KataError } from "../../../base/error.ts";
import { type Command, defineCommand } from "../command.ts";
import type { FlagTable } from "../flags.ts";

/** All that runc takes, so that the answer is that there is no checkpoint, not that a flag is unknown. */
const IGNORED: FlagTable = Object.fromEntries([
  ...[
    "image-path",
    "work-path",
    "parent-path",
    "page-server",
    "status-fd",
    "manage-cgroups-mode",
    "empty-ns",
    "console-socket",
    "bundle",
    "b",
    "pid-file",
    "lsm-profile",
    "lsm-mount-context",
  ].map((name) => [name, { kind: "text", help: "ignored" }] as const),
  ...[
    "leave-running",
    "tcp-established",
    "ext-unix-sk",
    "shell-job",
    "lazy-pages",
    "file-locks",
    "pre-dump",
    "auto-dedup",
    "detach",
    "d",
    "no-subreaper",
    "no-pivot",
  ].map((name) => [name, { kind: "flag", help: "ignored" }] as const),
]);

export const command: Command = defineCommand({
  usage: "<container-id>",
  summary: "Not supported: runk does not save processes to disk.",
  flags: IGNORED,
  words: [0, 1],
  run({ args }) {
    const what = `container "${args[0] ?? ""}"`;
    return Promise.reject(
      new KataError("UNIMPLEMENTED", `Cannot checkpoint or restore ${what}: runk does not support it`),
    );
  },
});
