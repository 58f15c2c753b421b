/** The calls of a client that wait for an answer, by the stream id that each has on the wire. @module */
import type { DescMethod } from "@bufbuild/protobuf";
import { type ConnectError, type ContextValues, createContextValues } from "@connectrpc/connect";
import { abortable } from "../../base/async.ts";
import type { FrameChannel } from "./channel.ts";
import { type Call, giveUpOn } from "./client_call.ts";
import { toMetadata } from "./envelope.ts";
import { abortError } from "./errors.ts";
import { nextStreamId } from "./frame.ts";

/** Ids go up, and round. */
export class PendingCalls {
  readonly #calls = new Map<number, Call>();
  #nextId: number;
  #hasWrapped = false;

  /** @param firstId Odd. */
  constructor(firstId = 1) {
    this.#nextId = firstId;
  }

  /** @returns Its id. */
  add(call: Call): number {
    let id = this.#nextId;
    // After 2^31 calls, which a container that writes all the time makes in weeks; some may wait since the beginning.
    while (this.#hasWrapped && this.#calls.has(id)) id = nextStreamId(id);
    this.#nextId = nextStreamId(id);
    this.#hasWrapped ||= this.#nextId < id;
    this.#calls.set(id, call);
    return id;
  }

  has(id: number): boolean {
    return this.#calls.has(id);
  }

  get(id: number): Call | undefined {
    return this.#calls.get(id);
  }

  delete(id: number): void {
    this.#calls.delete(id);
  }

  /** Fails one, if it still waits. */
  fail(id: number, error: ConnectError): void {
    const call = this.#calls.get(id);
    this.#calls.delete(id);
    call?.fail(error);
  }

  /** Fails all, each with an error of its own. */
  failAll(errorOf: (call: Call) => ConnectError): void {
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const call of calls) call.fail(errorOf(call));
  }
}

/**
 * Waits while the connection is crowded. A peer may read nothing and yet seem alive: then what nobody has given up yet is
 * all that waits for it.
 *
 * @throws {ConnectError} The call was given up meanwhile.
 */
export async function awaitRoom(
  channel: FrameChannel,
  options: { signal?: AbortSignal | undefined; timeoutMs?: number | undefined },
): Promise<void> {
  if (options.signal?.aborted) throw abortError(options.signal.reason);
  const givenUp = new AbortController();
  using _watch = giveUpOn(options, (error) => givenUp.abort(error));
  await abortable(channel.room(), givenUp.signal);
}

/** A call as Connect's interceptors see it. */
export function requestOf(
  method: DescMethod,
  { header, contextValues }: { header: HeadersInit | undefined; contextValues: ContextValues | undefined },
): {
  service: DescMethod["parent"];
  requestMethod: string;
  url: string;
  header: Headers;
  contextValues: ContextValues;
} {
  return {
    service: method.parent,
    requestMethod: "POST",
    url: `/${method.parent.typeName}/${method.name}`,
    header: toMetadata(header),
    contextValues: contextValues ?? createContextValues(),
  };
}
