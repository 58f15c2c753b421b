/**
 * The agent's options as kernel parameters: one table, printed by the runtime and read by the agent, so that neither can
 * know an option that the other does not.
 *
 * @module
 */
import { type Level, parseLevel } from "../base/log.ts";
import { AGENT_PORT } from "./names.ts";

/** One option: its kernel parameter, its key in the agent's TOML file, its value when nobody sets it. */
interface Option<T> {
  readonly parameter: string;
  readonly key: string;
  readonly fallback: T;
  /** Reads a token such as `agent.log=debug`; undefined leaves the option as it is. @throws If it is malformed. */
  parse(token: string): T | undefined;
  /** The value in the token, or undefined where the bare parameter says it. */
  print(value: T): string | undefined;
}

const GUEST_PROCESSES = ["none", "attestation-agent", "confidential-data-hub", "api-server-rest"] as const;
const HOST_PROOFS = ["key", "none"] as const;
const REST_APIS = ["all", "attestation", "resource"] as const;
const U8 = { min: 0n, max: 0xffn };
const U64 = { min: 0n, max: 0xffff_ffff_ffff_ffffn };
const I64 = { min: -0x8000_0000_0000_0000n, max: 0x7fff_ffff_ffff_ffffn };

const OPTIONS = {
  debugConsole: flag("agent.debug_console"),
  /** 0: the console device. */
  debugConsolePort: count("agent.debug_console_vport", 0),
  developerMode: { ...flag("agent.devmode"), key: "dev_mode" },
  tracing: { ...bareOrBool("agent.trace"), key: "tracing" },
  logLevel: { ...text<Level>("agent.log", "info", parseLevel), key: "log_level" },
  /** 0: standard output. */
  logPort: count("agent.log_vport", 0),
  serverAddress: text("agent.server_addr", `vsock://-1:${AGENT_PORT}`),
  /** Callers served over vsock: `key`, those that know the VM's key; `none`, all from the host. */
  hostProof: text("agent.host_proof", "key", oneOf(HOST_PROOFS)),
  /** Whether processes other than the agent may have vsock sockets. */
  containerVsock: bool("agent.container_vsock", { fallback: false }),
  /** 0: off. */
  passedFdPort: count("agent.passfd_listener_port", 0),
  /** Seconds, as the next four. */
  hotplugTimeout: count("agent.hotplug_timeout", 3),
  cdhApiTimeout: count("agent.cdh_api_timeout", 50),
  imagePullTimeout: count("agent.image_pull_timeout", 1200),
  cdiTimeout: count("agent.cdi_timeout", 100),
  launchProcessTimeout: count("agent.launch_process_timeout", 6),
  visibleCdiDevices: bool("agent.visible_cdi_devices", { fallback: false }),
  /** Bytes; 0: the kernel's own size. */
  containerPipeSize: count("agent.container_pipe_size", 0),
  /** Only `all` has a meaning: cgroup v2. */
  cgroupNoV1: text("cgroup_no_v1", ""),
  unifiedCgroups: bool("systemd.unified_cgroup_hierarchy", { fallback: false }),
  httpsProxy: text("agent.https_proxy", "", (url) => new URL(url).href),
  noProxy: text("agent.no_proxy", ""),
  guestRestApi: text("agent.guest_components_rest_api", "resource", oneOf(REST_APIS)),
  /** Processes to start in the guest; each word implies the words before it. */
  guestProcesses: text("agent.guest_components_procs", "api-server-rest", oneOf(GUEST_PROCESSES)),
  secureStorageIntegrity: bool("agent.secure_storage_integrity", { fallback: true }),
  memAgentEnable: bool("agent.mem_agent_enable", { fallback: false }),
  memcgDisable: strictBool("agent.mem_agent_memcg_disable"),
  memcgSwap: strictBool("agent.mem_agent_memcg_swap"),
  memcgSwappinessMax: integer("agent.mem_agent_memcg_swappiness_max", 50n, U8),
  memcgPeriodSecs: integer("agent.mem_agent_memcg_period_secs", 600n, U64),
  memcgPeriodPsiPercentLimit: integer("agent.mem_agent_memcg_period_psi_percent_limit", 1n, U8),
  memcgEvictionPsiPercentLimit: integer("agent.mem_agent_memcg_eviction_psi_percent_limit", 1n, U8),
  memcgEvictionRunAgingCountMin: integer("agent.mem_agent_memcg_eviction_run_aging_count_min", 3n, U64),
  compactDisable: strictBool("agent.mem_agent_compact_disable"),
  compactPeriodSecs: integer("agent.mem_agent_compact_period_secs", 600n, U64),
  compactPeriodPsiPercentLimit: integer("agent.mem_agent_compact_period_psi_percent_limit", 1n, U8),
  compactPsiPercentLimit: integer("agent.mem_agent_compact_psi_percent_limit", 5n, U8),
  compactSecMax: integer("agent.mem_agent_compact_sec_max", 300n, I64),
  compactOrder: integer("agent.mem_agent_compact_order", 9n, U8),
  compactThreshold: integer("agent.mem_agent_compact_threshold", 1024n, U64),
  compactForceTimes: integer("agent.mem_agent_compact_force_times", I64.max, U64),
} as const;

type Table = typeof OPTIONS;
type Name = keyof Table;

/** The agent's options, complete. */
export type AgentOptions = { -readonly [K in Name]: Table[K] extends Option<infer T> ? T : never };

/** The options of an agent that nobody told anything. */
export function defaultAgentOptions(): AgentOptions {
  return Object.fromEntries(rows().map(([name, { fallback }]) => [name, fallback])) as AgentOptions;
}

/** The keys of the agent's TOML file, each with the option that it sets. */
export function agentOptionKeys(): ReadonlyMap<string, keyof AgentOptions> {
  return new Map(rows().map(([name, { key }]) => [key, name]));
}

/** The path in `agent.config_file=`, whose file then replaces the rest of the command line. */
export function agentConfigFile(commandLine: string): string | undefined {
  const prefix = "agent.config_file=";
  return tokens(commandLine).find((token) => token.startsWith(prefix))?.slice(prefix.length);
}

/**
 * Reads `/proc/cmdline`. Unknown tokens are ignored; a count that is not positive leaves its default.
 *
 * @throws {RangeError} If a known option is malformed.
 */
export function parseAgentOptions(commandLine: string): AgentOptions {
  const options = defaultAgentOptions();
  const known = new Map<string, [Name, Option<unknown>]>(rows().map((row) => [row[1].parameter, row]));
  for (const token of tokens(commandLine)) {
    const [name, option] = known.get(token.split("=", 1)[0] ?? "") ?? [];
    if (name === undefined || option === undefined) continue;
    // The options of the memory agent count only after the one that switches it on, as in Kata's agent.
    if (option.parameter.startsWith("agent.mem_agent_") && name !== "memAgentEnable" && !options.memAgentEnable) {
      continue;
    }
    const value = option.parse(token);
    if (value !== undefined) Object.assign(options, { [name]: value });
  }
  return options;
}

/** The kernel parameters that tell an agent these options. Defaults are left out: the command line is short. */
export function agentKernelParameters(options: Partial<AgentOptions>): string[] {
  return rows().flatMap(([name, option]) => {
    const value = options[name];
    if (value === undefined || value === option.fallback) return [];
    const printed = option.print(value);
    return [printed === undefined ? option.parameter : `${option.parameter}=${printed}`];
  });
}

function rows(): [Name, Option<unknown>][] {
  return Object.entries(OPTIONS) as [Name, Option<unknown>][];
}

function tokens(commandLine: string): string[] {
  return commandLine.split(/[ \t\n\f\r]+/);
}

/** The key in the TOML file is the parameter without its first word. */
function keyOf(parameter: string): string {
  return parameter.slice(parameter.indexOf(".") + 1);
}

/** Value after the only `=` of a token. */
function valueOf(token: string): string | undefined {
  const [, value, ...more] = token.split("=");
  return more.length === 0 ? value : undefined;
}

function fail(token: string, expected: string): never {
  throw new RangeError(`Cannot read kernel parameter "${token}": expected ${expected}`);
}

function flag(parameter: string): Option<boolean> {
  const parse = (token: string) => token === parameter ? true : undefined;
  return { parameter, key: keyOf(parameter), fallback: false, parse, print: () => undefined };
}

/** `true`, or an integer other than 0; anything else is false. */
function bool(parameter: string, { fallback }: { fallback: boolean }): Option<boolean> {
  const parse = (token: string) => {
    if (token === parameter) return undefined;
    const value = valueOf(token) ?? "";
    return value === "true" || (/^[+-]?\d+$/.test(value) && BigInt(value.replace("+", "")) !== 0n);
  };
  return { parameter, key: keyOf(parameter), fallback, parse, print: String };
}

/** A boolean whose bare name means true, as Kata 1 wrote it. */
function bareOrBool(parameter: string): Option<boolean> {
  const option = bool(parameter, { fallback: false });
  return { ...option, parse: (token) => token === parameter ? true : option.parse(token) };
}

function strictBool(parameter: string): Option<boolean> {
  const parse = (token: string) => {
    const value = valueOf(token);
    if (value !== "true" && value !== "false") fail(token, "true or false");
    return value === "true";
  };
  return { parameter, key: keyOf(parameter), fallback: false, parse, print: String };
}

function count(parameter: string, fallback: number): Option<number> {
  const parse = (token: string) => {
    if (token === parameter) return undefined;
    const value = valueOf(token) ?? "";
    if (!/^[+-]?\d+$/.test(value) || !Number.isSafeInteger(Number(value))) fail(token, "one integer");
    return Number(value) > 0 ? Number(value) : undefined;
  };
  return { parameter, key: keyOf(parameter), fallback, parse, print: String };
}

function integer(parameter: string, fallback: bigint, { min, max }: { min: bigint; max: bigint }): Option<bigint> {
  const parse = (token: string) => {
    const value = valueOf(token) ?? "";
    if (!/^-?\d+$/.test(value) || BigInt(value) < min || BigInt(value) > max) fail(token, `${min} to ${max}`);
    return BigInt(value);
  };
  return { parameter, key: keyOf(parameter), fallback, parse, print: String };
}

function text(parameter: string, fallback: string): Option<string>;
function text<T extends string>(parameter: string, fallback: T, read: (value: string) => T): Option<T>;
function text(parameter: string, fallback: string, read = (value: string) => value): Option<string> {
  const parse = (token: string) => {
    if (token === parameter) return undefined;
    const value = token.slice(parameter.length + 1);
    try {
      return value === "" ? undefined : read(value);
    } catch (cause) {
      throw new RangeError(`Cannot read kernel parameter "${token}"`, { cause });
    }
  };
  return { parameter, key: keyOf(parameter), fallback, parse, print: String };
}

function oneOf<T extends string>(values: readonly T[]): (value: string) => T {
  return (value) => {
    const found = values.find((known) => known === value);
    if (found === undefined) throw new RangeError(`Cannot use "${value}": known are ${values.join(", ")}`);
    return found;
  };
}
