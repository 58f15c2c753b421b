/**
 * The configuration file: tables `[hypervisor.qemu]`, `[agent.kata]`, `[runtime]` and `[factory]`, with Kata's names.
 *
 * This folder reads it in four steps: `load.ts` finds and merges the files, this schema gives types and defaults,
 * `annotations.ts` applies what a pod may change, `check.ts` holds the rules between fields and against the host.
 *
 * @module
 */
import * as v from "valibot";
import { off, on, positive, strings, text } from "./fields.ts";
import { type QemuConfig, qemuSchema } from "./qemu_schema.ts";

/** `[agent.kata]`. */
export const agentSchema = v.object({
  enable_debug: off,
  /** Overrides the level that `enable_debug` chooses: trace, debug, info, warning, error, critical. */
  log_level: text,
  /** Modules to load in the guest before the first container: a name and its parameters each. */
  kernel_modules: strings,
  debug_console_enabled: off,
  /**
   * Ours. How the host proves itself to an agent that is reached over vsock: `key`, by a secret of this one VM; `none`, not
   * at all, for an agent that knows of no keys (Kata's own). With `none` every user of the host commands the guest.
   */
  host_proof: v.optional(v.picklist(["key", "none"]), "key"),
  /** Ours. Lets containers have vsock sockets, by which they reach services of the host that listen on its vsock. */
  container_vsock: off,
  /** Milliseconds between two attempts to reach the agent. */
  dial_timeout_ms: v.optional(positive, 10),
  /** Milliseconds to reach the agent in all; 0 would never start, so at least one. Emulated guests boot slowly. */
  reconnect_timeout_ms: v.optional(positive, 60_000),
  /** Seconds for one CreateContainer call. */
  create_container_timeout: v.optional(positive, 60),
});

/** `[runtime]`. */
export const runtimeSchema = v.object({
  enable_debug: off,
  /** Overrides the level that `enable_debug` chooses. */
  log_level: text,
  hypervisor_name: v.optional(v.picklist(["qemu"]), "qemu"),
  agent_name: v.optional(v.picklist(["kata"]), "kata"),
  internetworking_model: v.optional(v.picklist(["tcfilter", "macvtap", "none"]), "tcfilter"),
  disable_new_netns: off,
  disable_guest_seccomp: on,
  sandbox_cgroup_only: on,
  static_sandbox_resource_mgmt: on,
  disable_guest_empty_dir: off,
  /** Keeps a failed sandbox's files for a look at them. */
  keep_abnormal: off,
  experimental: strings,
});

/**
 * `[factory]`: machines that start from the saved state of one that has booted.
 *
 * Kata keeps templates in a tmpfs. Ours are on disk: they outlive a reboot, and the host can take the memory of their
 * pages back, whereas a tmpfs would hold it for good.
 */
export const factorySchema = v.object({
  /** Starts from a template where `kata-runtime factory init` has made one that fits; else the machine boots. */
  enable_template: on,
  /** Directory of the templates; below it each has one of its own. */
  template_path: v.optional(v.string(), "/var/cache/kata/template"),
});

/** The whole file. Tables that are missing take their defaults. */
export const fileSchema = v.object({
  hypervisor: v.optional(v.object({ qemu: v.optional(qemuSchema, {}) }), {}),
  agent: v.optional(v.object({ kata: v.optional(agentSchema, {}) }), {}),
  runtime: v.optional(runtimeSchema, {}),
  factory: v.optional(factorySchema, {}),
});

/** `[agent.kata]` as checked and with its defaults. */
export type AgentConfig = v.InferOutput<typeof agentSchema>;
/** `[runtime]` as checked and with its defaults. */
export type RuntimeConfig = v.InferOutput<typeof runtimeSchema>;
/** `[factory]` as checked and with its defaults. */
export type FactoryConfig = v.InferOutput<typeof factorySchema>;
export type { QemuConfig };

/** The configuration as the rest of the program reads it, after `loadConfig`. */
export interface Config {
  hypervisor: QemuConfig;
  agent: AgentConfig;
  runtime: RuntimeConfig;
  factory: FactoryConfig;
}

/** A configuration with nothing but defaults. */
export function defaultConfig(): Config {
  return toConfig(v.parse(fileSchema, {}));
}

/** Drops the level of names that only the file needs. */
export function toConfig(file: v.InferOutput<typeof fileSchema>): Config {
  return {
    hypervisor: file.hypervisor.qemu,
    agent: file.agent.kata,
    runtime: file.runtime,
    factory: file.factory,
  };
}

/** Keys that Kata's runtimes name differently, or have elsewhere: the other path, then ours. */
export const ALIASES: Readonly<Record<string, string>> = {
  "hypervisor.qemu.seccompsandbox": "hypervisor.qemu.seccomp_sandbox",
  "runtime.create_container_timeout": "agent.kata.create_container_timeout",
  "hypervisor.qemu.factory.enable_template": "factory.enable_template",
  "hypervisor.qemu.factory.template_path": "factory.template_path",
};
