/** Settings of a sandbox: the configuration file, changed as its pod may change it, and a log of its level. @module */
import type { Any } from "@bufbuild/protobuf/wkt";
import { type Logger, parseLevel } from "../base/log.ts";
import { applyAnnotations } from "../config/annotations.ts";
import { checkConfig, warnOfPlanned } from "../config/check.ts";
import { loadConfig } from "../config/load.ts";
import type { Config } from "../config/schema.ts";
import type { Spec } from "../oci/spec/spec.ts";
import type { ShimLog } from "./log/logs.ts";
import { optionsPath } from "./requests.ts";

/** Set on a sandbox, it beats every other place of the configuration (B51). */
const CONFIG_ANNOTATION = "io.katacontainers.config_path";

export interface SandboxSettings {
  config: Config;
  log: Logger;
}

/**
 * @param options The runtime's options in containerd's request.
 * @throws {KataError} What is wrong with the configuration, in one line.
 */
export function readSettings(spec: Spec, { options, logs }: {
  options: Any | undefined;
  logs: Pick<ShimLog, "at" | "log">;
}): SandboxSettings {
  const { annotations = {} } = spec;
  const { config: base, path, warnings } = loadConfig({
    annotation: annotations[CONFIG_ANNOTATION],
    optionsPath: optionsPath(options),
    env: (name) => Deno.env.get(name),
  });
  const config = applyAnnotations(base, annotations);
  const log = logOf(config, logs);
  log.info("Using configuration", { path });
  for (const warning of [...warnings, ...warnOfPlanned(config)]) log.warning(warning, { path });
  checkConfig(config);
  return { config, log };
}

/** The configuration may ask for more or less than containerd's `-debug`. */
function logOf({ runtime }: Config, logs: Pick<ShimLog, "at" | "log">): Logger {
  if (runtime.log_level !== "") return logs.at(parseLevel(runtime.log_level));
  return runtime.enable_debug ? logs.at("debug") : logs.log;
}
