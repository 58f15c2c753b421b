/** Unpacks the `Any` fields of containerd's requests. @module */
import { fromBinary } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { errorChain, KataError } from "../base/error.ts";
import { readPlainText } from "../linux/fs/in_root.ts";
import { parseSpec, type Process, type Resources, type Spec } from "../oci/spec/spec.ts";
import { OptionsSchema } from "../proto/runtime_options_pb.ts";

/**
 * Path of the configuration file in the runtime's options.
 *
 * @returns Nothing if there are no options, or those of another runtime: containerd sends runc's to everybody.
 */
export function optionsPath(options: Any | undefined): string | undefined {
  if (options === undefined || !options.typeUrl.endsWith("runtimeoptions.v1.Options")) return undefined;
  try {
    return fromBinary(OptionsSchema, options.value).configPath || undefined;
  } catch (cause) {
    throw new KataError("INVALID_ARGUMENT", "Cannot read the runtime's options", { cause });
  }
}

/** Bytes of a `config.json`; those of engines have some ten thousand. */
const SPEC_LIMIT = 16 << 20;

/** The bundle's `config.json`. @throws {KataError} INVALID_ARGUMENT naming the file. */
export function readSpec(bundle: string): Spec {
  const path = `${bundle}/config.json`;
  try {
    return parseSpec(readPlainText(path, { limit: SPEC_LIMIT }));
  } catch (error) {
    throw new KataError("INVALID_ARGUMENT", `Cannot read "${path}": ${errorChain(error)}`);
  }
}

/** The process of an exec, which comes as JSON. */
export function parseProcess(value: Any | undefined): Process {
  const { process } = parseInSpec("process", value);
  if (process?.args === undefined) {
    throw new KataError("INVALID_ARGUMENT", "Cannot exec: the request names no process to run");
  }
  return process;
}

/** The limits of an update, which come as JSON. */
export function parseResources(value: Any | undefined): Resources {
  return parseInSpec("resources", value).linux?.resources ?? {};
}

/** Read as a field of a whole spec, so that 64-bit numbers stay exact. */
function parseInSpec(field: "process" | "resources", value: Any | undefined): Spec {
  const text = new TextDecoder().decode(value?.value);
  if (text === "") throw new KataError("INVALID_ARGUMENT", `Cannot read the request: it has no ${field}`);
  try {
    return parseSpec(field === "process" ? `{"process":${text}}` : `{"linux":{"resources":${text}}}`);
  } catch (cause) {
    throw new KataError("INVALID_ARGUMENT", `Cannot read the request's ${field}`, { cause });
  }
}
