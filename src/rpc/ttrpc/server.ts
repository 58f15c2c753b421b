/**
 * The answering end of ttRPC: several services on one listener.
 *
 * @module
 */
import type { DescService } from "@bufbuild/protobuf";
import { Code, createServiceImplSpec, type Interceptor, type ServiceImpl } from "@connectrpc/connect";
import { systemClock } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import type { Duplex, Listener } from "../transport/duplex.ts";
import { rpcCode } from "./errors.ts";
import { type MethodTable, ServerConnection } from "./server_connection.ts";

const ACCEPT_PAUSE_MS = 100;

/** A service and what answers its methods. */
export type TtrpcService = ReturnType<typeof createServiceImplSpec>;

/** Of {@linkcode serveTtrpc}, for all its connections. */
export interface ServeOptions {
  /** Stops accepting and refuses new calls, lets the pending ones end, then closes the connections. */
  signal: AbortSignal;
  /** Gets connections that fail. Errors of calls go to the caller only. */
  log: Logger;
  /** Run around each call, first one outermost. Without them a call takes a shorter way. */
  interceptors?: Interceptor[];
  /** For errors that carry no code. The agent answers INTERNAL, a shim UNKNOWN. Default: Internal. */
  defaultCode?: Code;
  /** Calls in progress on one connection, beyond which a new one is answered RESOURCE_EXHAUSTED. Default: 4096. */
  maxCalls?: number;
  /** How long pending calls may go on after the signal, in milliseconds; then they are aborted. Default: 1000. */
  drainMs?: number;
  /** How long pending calls may go on after the caller stopped sending, in milliseconds. Default: 100. */
  lingerMs?: number;
}

/** A service with the methods that `impl` has; the others answer UNIMPLEMENTED. */
export function defineService<D extends DescService>(service: D, impl: Partial<ServiceImpl<D>>): TtrpcService {
  return createServiceImplSpec<D>(service, impl);
}

/**
 * Serves each connection of `listener` until the signal fires; a connection that fails ends alone.
 *
 * @returns Resolves when the last call has its answer and all connections are closed.
 */
export async function serveTtrpc(listener: Listener, services: TtrpcService[], options: ServeOptions): Promise<void> {
  const serving = new Set<Promise<void>>();
  const stop = () => listener.close();
  options.signal.throwIfAborted();
  options.signal.addEventListener("abort", stop, { once: true });
  try {
    for await (const duplex of accept(listener, options)) {
      const connection = serveConnection(duplex, services, options).finally(() => serving.delete(connection));
      serving.add(connection);
    }
  } finally {
    options.signal.removeEventListener("abort", stop);
    await Promise.all(serving);
  }
}

/** A server that has no descriptor left now may have one later: only other errors end it. */
async function* accept(listener: Listener, { signal, log }: ServeOptions): AsyncGenerator<Duplex> {
  for (;;) {
    try {
      return yield* listener;
    } catch (error) {
      if (rpcCode(error) !== Code.ResourceExhausted) throw error;
      log.warning("Cannot accept a connection now", { error });
      await systemClock.sleep(ACCEPT_PAUSE_MS, signal).catch(() => {});
    }
  }
}

/** Serves one connection until the peer or the signal ends it. Never rejects: a failure is logged. */
export async function serveConnection(
  duplex: Duplex,
  services: TtrpcService[],
  { signal, log, interceptors = [], defaultCode = Code.Internal, maxCalls = 4096, ...options }: ServeOptions,
): Promise<void> {
  const { drainMs = 1000, lingerMs = 100 } = options;
  const connection = new ServerConnection(duplex, methodTable(services), {
    interceptors,
    defaultCode,
    maxCalls,
    lingerMs,
  });
  let draining: Promise<void> | undefined;
  const drain = () => draining = connection.drain(drainMs);
  if (signal.aborted) drain();
  else signal.addEventListener("abort", drain, { once: true });
  try {
    await connection.serve();
  } catch (error) {
    log.warning("A connection failed", { error });
  } finally {
    signal.removeEventListener("abort", drain);
    await draining;
  }
}

function methodTable(services: TtrpcService[]): MethodTable {
  return new Map(
    services.flatMap(({ service, methods }) =>
      Object.values(methods).map((spec) => [`${service.typeName}/${spec.method.name}`, { service, spec }] as const)
    ),
  );
}
