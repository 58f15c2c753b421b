/** Service of a shim that listens and cannot serve: whoever calls is told why. @module */
import { Code } from "@connectrpc/connect";
import type { DescService } from "@bufbuild/protobuf";
import type { Logger } from "../base/log.ts";
import { Task as TaskV2 } from "../proto/task_v2_pb.ts";
import { Task as TaskV3 } from "../proto/task_v3_pb.ts";
import type { Listener } from "../rpc/transport/duplex.ts";
import { defineService, serveTtrpc, type TtrpcService } from "../rpc/ttrpc/server.ts";

/** For containerd, which has just been told the address, to call and to hear the reason. */
const REFUSAL_MS = 10_000;

export interface RefuseTasksOptions {
  error: Error;
  log: Logger;
}

/** Answers each call with the error, until Shutdown or for ten seconds. Takes over the listener, which may be closed already. */
export async function refuseTasks(listener: Listener, { error, log }: RefuseTasksOptions): Promise<void> {
  const shutdown = new AbortController();
  const services = [TaskV2, TaskV3].map((service) => refusing(service, { error, onShutdown: () => shutdown.abort() }));
  const signal = AbortSignal.any([shutdown.signal, AbortSignal.timeout(REFUSAL_MS)]);
  await serveTtrpc(listener, services, { signal, log, defaultCode: Code.Unknown }).catch(() => {});
}

function refusing(
  service: DescService,
  { error, onShutdown }: { error: Error; onShutdown: () => void },
): TtrpcService {
  const refuse = () => {
    throw error;
  };
  const methods = service.methods.map(({ localName }) => [
    localName,
    localName === "shutdown" ? () => (onShutdown(), {}) : refuse,
  ]);
  return defineService(service, Object.fromEntries(methods));
}
