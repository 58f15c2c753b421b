/** The agent's command line. @module */

/** The agent's command line, parsed. */
export interface AgentArgs {
  showVersion: boolean;
  /** TOML file with the settings. */
  configFile?: string;
  /** Address to serve on, over any other setting; for tests without a machine of their own. */
  serverAddress?: string;
}

const VALUES: Readonly<Record<string, "configFile" | "serverAddress">> = {
  "-c": "configFile",
  "--config": "configFile",
  "--server-addr": "serverAddress",
};

/**
 * Reads `[-v|--version] [-c|--config FILE] [--server-addr ADDRESS]`. A kernel passes words that it does not know to its
 * first process; as PID 1 those are ignored.
 *
 * @throws {TypeError} An unknown argument or a missing value.
 */
export function parseAgentArgs(args: readonly string[], { isInit }: { isInit: boolean }): AgentArgs {
  const parsed: AgentArgs = { showVersion: false };
  for (let index = 0; index < args.length; index++) {
    const arg = args[index]!;
    const [name = "", inline] = arg.startsWith("--") ? splitOnce(arg) : [arg];
    const field = Object.hasOwn(VALUES, name) ? VALUES[name] : undefined;
    if (name === "-v" || name === "--version") parsed.showVersion = true;
    else if (field !== undefined) parsed[field] = inline ?? args[++index] ?? missing(name);
    else if (!isInit) throw new TypeError(`Cannot use argument "${arg}": known are --version, --config, --server-addr`);
  }
  return parsed;
}

function splitOnce(arg: string): [string, string?] {
  const equals = arg.indexOf("=");
  return equals < 0 ? [arg] : [arg.slice(0, equals), arg.slice(equals + 1)];
}

function missing(name: string): never {
  throw new TypeError(`Cannot use argument "${name}": it needs a value`);
}
