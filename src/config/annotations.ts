/** What a pod may change by annotations: one row per key. @module */
import { quoted } from "../base/text.ts";
import { KataError } from "../base/error.ts";
import type { Config } from "./schema.ts";

const PREFIX = "io.katacontainers.config.";
const HYPERVISOR_PREFIX = `${PREFIX}hypervisor.`;

/** Puts an annotation's text into a configuration of its own; throws a RangeError that says what the text must be. */
type Apply = (config: Config, text: string) => void;

/** By name after `io.katacontainers.config.`. Rows below `hypervisor.` need a match in `enable_annotations`. */
const ANNOTATIONS: Readonly<Record<string, Apply>> = {
  "hypervisor.kernel_params": ({ hypervisor }, text) => {
    hypervisor.kernel_params = `${hypervisor.kernel_params} ${text}`.trim();
  },
  "hypervisor.default_vcpus": ({ hypervisor }, text) => {
    hypervisor.default_vcpus = parseNumber(text, { least: 0 });
  },
  "hypervisor.default_max_vcpus": ({ hypervisor }, text) => {
    hypervisor.default_maxvcpus = parseInteger(text);
  },
  "hypervisor.default_memory": ({ hypervisor }, text) => {
    hypervisor.default_memory = parseInteger(text);
  },
  "runtime.disable_guest_seccomp": ({ runtime }, text) => {
    runtime.disable_guest_seccomp = parseBoolean(text);
  },
  "runtime.create_container_timeout": ({ agent }, text) => {
    agent.create_container_timeout = parseInteger(text);
  },
  "agent.kernel_modules": ({ agent }, text) => {
    agent.kernel_modules = text.split(";").map((module) => module.trim()).filter((module) => module !== "");
  },
};

/**
 * The configuration with a pod's annotations applied. Run `checkConfig` afterwards.
 *
 * @returns A new configuration, and one line per annotation of ours that is unknown, for the log.
 * @throws {KataError} INVALID_ARGUMENT for a value that cannot be read, PERMISSION_DENIED for a key that the
 * configuration's `enable_annotations` does not allow.
 */
export function applyAnnotations(
  config: Config,
  annotations: Readonly<Record<string, string>>,
): { config: Config; warnings: readonly string[] } {
  const changed = structuredClone(config);
  const warnings: string[] = [];
  const ours = Object.entries(annotations).filter(([key]) => key.startsWith(PREFIX));
  for (const [key, text] of ours) {
    const apply = Object.hasOwn(ANNOTATIONS, key.slice(PREFIX.length)) && ANNOTATIONS[key.slice(PREFIX.length)];
    if (!apply) {
      warnings.push(`Unknown annotation ${quoted(key)} has no effect`);
      continue;
    }
    requireEnabled(key, config.hypervisor.enable_annotations);
    try {
      apply(changed, text);
    } catch (cause) {
      throw new KataError("INVALID_ARGUMENT", `Cannot use annotation ${key} ${quoted(text)}`, { cause });
    }
  }
  return { config: changed, warnings };
}

function requireEnabled(key: string, enabled: readonly string[]): void {
  if (!key.startsWith(HYPERVISOR_PREFIX)) return;
  const name = key.slice(HYPERVISOR_PREFIX.length);
  if (enabled.some((expression) => new RegExp(`^(?:${expression})$`).test(name))) return;
  throw new KataError(
    "PERMISSION_DENIED",
    `Cannot use annotation ${key}: enable_annotations does not list ${quoted(name)}`,
  );
}

function parseNumber(text: string, { least }: { least: number }): number {
  const number = Number(text);
  if (text.trim() === "" || !Number.isFinite(number) || number < least) {
    throw new RangeError(`expected a number of at least ${least}`);
  }
  return number;
}

function parseInteger(text: string): number {
  const number = parseNumber(text, { least: 0 });
  if (!Number.isSafeInteger(number)) throw new RangeError("expected a whole number");
  return number;
}

function parseBoolean(text: string): boolean {
  if (text === "true" || text === "false") return text === "true";
  throw new RangeError("expected true or false");
}
