import type { Interceptor, Transport } from "@connectrpc/connect";
import type { Duplex } from "./duplex.ts";

export interface TtrpcTransportOptions {
  /** Names the peer in errors, such as `agent of sandbox "s1"`. */
  peer: string;
  /** Run around each call, first one outermost. Without them a call takes a shorter way. */
  interceptors?: Interceptor[];
}

/** A connection to a ttRPC server, for `createClient(Service, transport)`. Disposing it fails the pending calls. */
export interface TtrpcTransport extends Transport, Disposable {
  /** Resolves when the connection has ended, by either side; never rejects. */
  readonly closed: Promise<void>;
}

export function createTtrpcTransport(_duplex: Duplex, _options: TtrpcTransportOptions): TtrpcTransport {
  throw new Error("Cannot create a transport: not written yet");
}
