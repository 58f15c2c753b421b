/**
 * The commands of `kata-runtime` and `kata-ctl`. Each is a file in `commands/`, loaded when it is called.
 *
 * To add one: its file there, which exports `define`, and its row here, in the order of the alphabet. What it asks of a
 * running shim goes through `shim_api/client.ts`. Failures are thrown (status 1); what makes no sense on a command line
 * ends by `command.error()` (status 2).
 *
 * @module
 */
import type { Command } from "commander";

/** A command as the list of all shows it. */
export interface CommandRow {
  name: string;
  summary: string;
  /** Words after the program's name, and what they do. */
  examples: readonly (readonly [words: string, does: string])[];
  load(): Promise<CommandFile>;
}

/** Exports of a file in `commands/`. */
export interface CommandFile {
  /** Gives an empty command its arguments, options and action. */
  define(command: Command): void;
}

/** In the order of the alphabet. */
export const COMMANDS: readonly CommandRow[] = [
  {
    name: "explain",
    summary: "tell what a key of the configuration means, or an annotation",
    examples: [
      ["explain default_memory", "by the name of a key"],
      ["explain io.katacontainers.config.hypervisor.kernel_params", "by the annotation that changes it"],
    ],
    load: () => import("./commands/explain.ts"),
  },
  {
    name: "factory",
    summary: "templates, from which sandboxes start without booting",
    examples: [
      ["factory init --memory 512 --vcpus 2", "for sandboxes of that size"],
      ["factory status", "which templates there are, and which of them fit"],
    ],
    load: () => import("./commands/factory.ts"),
  },
  {
    name: "metrics",
    summary: "print the figures of a sandbox: shim, monitor, agent and guest",
    examples: [
      ["metrics 3f2a", "of the sandbox whose id begins so, as Prometheus reads it"],
      ["metrics 3f2a --json", "the same for programs"],
    ],
    load: () => import("./commands/metrics.ts"),
  },
  {
    name: "version",
    summary: "print the release, how it was built, and what it runs on",
    examples: [["version --json", "the same for programs"]],
    load: () => import("./commands/version.ts"),
  },
];
