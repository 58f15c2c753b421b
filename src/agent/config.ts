/**
 * The agent's settings: the kernel command line or a TOML file, then the environment, then its own switches.
 *
 * @module
 */
import { parseLevel } from "../base/log.ts";
import {
  agentConfigFile,
  agentKernelParameters,
  agentOptionKeys,
  type AgentOptions,
  defaultAgentOptions,
  parseAgentOptions,
} from "../agent_api/options.ts";

/** Where settings come from, each a value, so that tests need no files. */
export interface ConfigSources {
  /** Text of `/proc/cmdline`. */
  cmdline: string;
  env: { get(name: string): string | undefined };
  /** Path given with `--config`; it beats the command line's `agent.config_file`. */
  file?: string | undefined;
  /** Options set by the agent's own switches; they win over all else. */
  overrides?: Partial<AgentOptions>;
  readFile?: (path: string) => string;
}

const ENVIRONMENT: Readonly<Record<string, (value: string) => Partial<AgentOptions>>> = {
  KATA_AGENT_SERVER_ADDR: (serverAddress) => ({ serverAddress }),
  KATA_AGENT_LOG_LEVEL: (value) => ({ logLevel: parseLevel(value) }),
  KATA_AGENT_TRACING: (value) => ({ tracing: value === "true" || value === "1" }),
};

/**
 * Gathers the settings.
 *
 * @throws {Error} A known parameter, variable or key with a malformed value, named in the message; an unreadable file.
 */
export async function loadAgentConfig(sources: ConfigSources): Promise<AgentOptions> {
  const { cmdline, env, readFile = Deno.readTextFileSync, overrides = {} } = sources;
  const named = agentConfigFile(cmdline);
  const file = sources.file ?? named;
  if (file === undefined) return { ...parseAgentOptions(cmdline), ...fromEnvironment(env), ...overrides };
  const fromFile = await parseConfigFile(file, readFile(file));
  // A file that the kernel command line names is final: the environment of the guest's init is the kernel's too.
  return { ...fromFile, ...(sources.file === undefined ? {} : fromEnvironment(env)), ...overrides };
}

/** Options that the agent heeds. */
const SUPPORTED: readonly string[] = [
  "serverAddress",
  "logLevel",
  "logPort",
  "hostProof",
  "containerVsock",
  "hotplugTimeout",
  "cgroupNoV1",
  "unifiedCgroups",
] satisfies (keyof AgentOptions)[];

/** One line per option that is set but of which nothing comes yet, for the log. */
export function warnOfUnbuilt(options: AgentOptions): string[] {
  const others = Object.entries(options).filter(([name]) => !SUPPORTED.includes(name));
  const parameters = agentKernelParameters(Object.fromEntries(others));
  return parameters.map((parameter) => `Option ${parameter} has no effect: it is not supported yet`);
}

function fromEnvironment(env: ConfigSources["env"]): Partial<AgentOptions> {
  const options: Partial<AgentOptions> = {};
  for (const [name, read] of Object.entries(ENVIRONMENT)) {
    const value = env.get(name);
    if (value !== undefined) Object.assign(options, naming(name, () => read(value)));
  }
  return options;
}

async function parseConfigFile(path: string, toml: string): Promise<AgentOptions> {
  const { parse } = await import("smol-toml"); // rarely needed, and a parser costs the guest's start
  const table = naming(path, () => parse(toml));
  const options = defaultAgentOptions();
  for (const [key, name] of agentOptionKeys()) {
    if (!Object.hasOwn(table, key)) continue;
    const value = naming(`${path}, key ${key}`, () => likeDefault(name, options[name], table[key]));
    Object.assign(options, { [name]: value });
  }
  return options;
}

/** A value of the type that the option's default has. */
function likeDefault(name: keyof AgentOptions, fallback: AgentOptions[keyof AgentOptions], value: unknown): unknown {
  if (name === "logLevel" && typeof value === "string") return parseLevel(value);
  const given = typeof fallback === "number" ? seconds(value) : value;
  if (typeof fallback === "bigint" && Number.isSafeInteger(given)) return BigInt(given as number);
  if (typeof given === typeof fallback) return given;
  throw new TypeError(`Cannot use ${JSON.stringify(value)}: expected a ${typeof fallback}`);
}

/** A duration is a table of seconds and nanoseconds; any other value stays. */
function seconds(value: unknown): unknown {
  const { secs, nanos = 0 } = Object(value) as { secs?: unknown; nanos?: unknown };
  return typeof secs === "number" ? secs + Number(nanos) / 1e9 : value;
}

function naming<T>(source: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    throw new Error(`Cannot use setting "${source}"`, { cause });
  }
}
