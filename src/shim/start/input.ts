/**
 * containerd's message on the stdin of `start`. A file of its own, loaded only if there is a message: nothing else in
 * `start` needs protobuf, which takes some milliseconds to describe itself.
 *
 * @module
 */
import { fromBinary } from "@bufbuild/protobuf";
import { type BootstrapParams, BootstrapParamsSchema, LogLevel } from "../../proto/bootstrap_pb.ts";
import type { ShimIdentity } from "../bootstrap.ts";

/** Fields of containerd's message on stdin that flags and environment do not have. */
export interface StartInput {
  debug?: boolean;
  socketDir?: string;
  ttrpcAddress?: string;
}

/**
 * Reads the stdin of `start`: containerd 2.3 and later send `BootstrapParams`, older ones the runtime's options as an
 * `Any`, which come again with the Create call and are not needed here.
 */
export function parseStartInput(bytes: Uint8Array, shim: ShimIdentity): StartInput {
  const params = decodeParams(bytes);
  // Field 1 of an Any is a string as well (its type URL), so only the identity tells the two apart.
  if (params === undefined || params.instanceId !== shim.id || params.namespace !== shim.namespace) return {};
  const input: StartInput = {};
  if (params.logLevel === LogLevel.DEBUG || params.logLevel === LogLevel.TRACE) input.debug = true;
  if (params.socketDir) input.socketDir = params.socketDir;
  if (params.containerdTtrpcAddress !== "") input.ttrpcAddress = params.containerdTtrpcAddress;
  return input;
}

function decodeParams(bytes: Uint8Array): BootstrapParams | undefined {
  try {
    return fromBinary(BootstrapParamsSchema, bytes);
  } catch {
    return undefined;
  }
}
