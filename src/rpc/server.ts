import type { DescService } from "@bufbuild/protobuf";
import { type Code, createServiceImplSpec, type Interceptor, type ServiceImpl } from "@connectrpc/connect";
import type { Logger } from "../base/log.ts";
import type { Duplex, Listener } from "./duplex.ts";

export type TtrpcService = ReturnType<typeof createServiceImplSpec>;

export interface ServeOptions {
  /** Stops accepting, lets the pending calls end, then closes the connections. */
  signal: AbortSignal;
  log: Logger;
  interceptors?: Interceptor[];
  /** For errors that carry no code. The agent answers INTERNAL, a shim UNKNOWN. Default: Internal. */
  defaultCode?: Code;
}

/** A service with the methods that `impl` has; the others answer UNIMPLEMENTED. */
export function defineService<D extends DescService>(service: D, impl: Partial<ServiceImpl<D>>): TtrpcService {
  return createServiceImplSpec<D>(service, impl);
}

/** Serves each connection of `listener`. Resolves when the signal has fired and the last call has been answered. */
export function serveTtrpc(_listener: Listener, _services: TtrpcService[], _options: ServeOptions): Promise<void> {
  throw new Error("Cannot serve: not written yet");
}

/** Serves one connection until it ends. */
export function serveConnection(_duplex: Duplex, _services: TtrpcService[], _options: ServeOptions): Promise<void> {
  throw new Error("Cannot serve: not written yet");
}
