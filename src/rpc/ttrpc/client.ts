/**
 * The calling end of a ttRPC connection, as a Transport of Connect: `createClient(AgentService, transport)` gives a typed
 * client that knows nothing of the wire.
 *
 * @module
 */
import {
  create,
  type DescMessage,
  type DescMethod,
  type DescMethodStreaming,
  type DescMethodUnary,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import {
  Code,
  type ConnectError,
  type ContextValues,
  type Interceptor,
  type StreamRequest,
  type StreamResponse,
  type Transport,
  type UnaryRequest,
  type UnaryResponse,
} from "@connectrpc/connect";
import { runStreamingCall, runUnaryCall } from "@connectrpc/connect/protocol";
import { FrameChannel } from "./channel.ts";
import { type Call, giveUpOn, StreamCall, UnaryCall } from "./client_call.ts";
import type { Duplex } from "../transport/duplex.ts";
import { requestHead, requestPayloadHead, requestTail, toMetadata } from "./envelope.ts";
import { abortError, rpcError } from "./errors.ts";
import { awaitRoom, PendingCalls, requestOf } from "./pending_calls.ts";
import { type Frame, FRAME_FLAG, FRAME_TYPE } from "./frame.ts";

/** Of {@linkcode createTtrpcTransport}, for all calls of one connection. */
export interface TtrpcTransportOptions {
  /** Names the peer in errors, such as `the agent of sandbox "s1"`. */
  peer: string;
  /** Run around each call, first one outermost. Without them a call takes a shorter way. */
  interceptors?: Interceptor[];
  /** The deadline of a call that sets none itself, in milliseconds; undefined waits for ever. */
  timeoutMs?: (method: DescMethod) => number | undefined;
  /** Whether the peer learns of deadlines. Without, only this end keeps them. Default: true. */
  sendsDeadlines?: boolean;
  /** Odd. Default: 1; for tests of what comes after the last one. */
  firstStreamId?: number;
}

/** Disposing it closes the connection and fails the pending calls. */
export interface TtrpcTransport extends Transport, Disposable {
  /** Resolves when the connection has ended, by either side; never rejects. */
  readonly closed: Promise<void>;
}

/**
 * Calls over `duplex`, which from here on belongs to the transport. A transport lives as long as its connection: to go on
 * after that, dial again. A call fails with UNAVAILABLE when the connection ends first.
 */
export function createTtrpcTransport(duplex: Duplex, options: TtrpcTransportOptions): TtrpcTransport {
  return new TtrpcConnection(duplex, options);
}

/** Options of a call besides its message. */
interface CallOptions {
  signal?: AbortSignal | undefined;
  timeoutMs?: number | undefined;
  header?: Headers | undefined;
}

const UNARY = { type: FRAME_TYPE.request, flags: 0 };
const REQUEST_ONLY = { type: FRAME_TYPE.request, flags: FRAME_FLAG.remoteClosed };
const REQUEST_THEN_DATA = { type: FRAME_TYPE.request, flags: FRAME_FLAG.remoteOpen };
const DATA = { type: FRAME_TYPE.data, flags: 0 };
const END = { type: FRAME_TYPE.data, flags: FRAME_FLAG.remoteClosed | FRAME_FLAG.noData };

class TtrpcConnection implements TtrpcTransport {
  readonly closed: Promise<void>;
  readonly #channel: FrameChannel;
  readonly #options: TtrpcTransportOptions;
  readonly #calls: PendingCalls;

  constructor(duplex: Duplex, options: TtrpcTransportOptions) {
    this.#channel = new FrameChannel(duplex);
    this.#options = options;
    this.#calls = new PendingCalls(options.firstStreamId);
    this.closed = this.#receive();
  }

  [Symbol.dispose](): void {
    this.#fail();
  }

  unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
    header: HeadersInit | undefined,
    message: MessageInitShape<I>,
    contextValues?: ContextValues,
  ): Promise<UnaryResponse<I, O>> {
    const { interceptors = [] } = this.#options;
    timeoutMs ??= this.#options.timeoutMs?.(method);
    if (interceptors.length === 0) {
      const headers = header === undefined ? undefined : toMetadata(header);
      return this.#callUnary(method, message, { signal, timeoutMs, header: headers });
    }
    // The deadline is kept in `next`: one timer, and one wording of its error.
    return runUnaryCall<I, O>({
      req: { ...requestOf(method, { header, contextValues }), stream: false, method, message },
      next: (request: UnaryRequest<I, O>) => this.#callUnary(method, request.message, { ...request, timeoutMs }),
      interceptors,
      ...(signal !== undefined && { signal }),
    });
  }

  stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodStreaming<I, O>,
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
    header: HeadersInit | undefined,
    message: AsyncIterable<MessageInitShape<I>>,
    contextValues?: ContextValues,
  ): Promise<StreamResponse<I, O>> {
    timeoutMs ??= this.#options.timeoutMs?.(method);
    return runStreamingCall<I, O>({
      req: { ...requestOf(method, { header, contextValues }), stream: true, method, message },
      next: (request) => this.#callStream(request, timeoutMs),
      interceptors: this.#options.interceptors ?? [],
      ...(timeoutMs !== undefined && { timeoutMs }),
      ...(signal !== undefined && { signal }),
    });
  }

  async #callUnary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    init: MessageInitShape<I>,
    options: CallOptions,
  ): Promise<UnaryResponse<I, O>> {
    if (this.#channel.isCrowded) await awaitRoom(this.#channel, options);
    // First: a message that cannot be encoded must leave no call behind, which nobody would await.
    const payload = toBinary(method.input, create(method.input, init));
    const call = new UnaryCall(method);
    const id = this.#open(call, method, options);
    this.#sendRequest(id, UNARY, { method, payload, ...options });
    using _watch = giveUpOn(options, (error) => this.#calls.fail(id, error));
    const message = await call.answer;
    return { stream: false, service: method.parent, method, header: new Headers(), trailer: new Headers(), message };
  }

  async #callStream<I extends DescMessage, O extends DescMessage>(
    request: StreamRequest<I, O>,
    timeoutMs: number | undefined,
  ): Promise<StreamResponse<I, O>> {
    const { method, signal, header } = request;
    const call = new StreamCall<O>(method);
    const id = this.#open(call, method, { signal });
    // The signal belongs to this call alone, so the listener goes with it.
    signal.addEventListener("abort", () => this.#calls.fail(id, abortError(signal.reason)), { once: true });
    if (method.methodKind === "server_streaming") {
      await this.#sendOnly(id, request, { timeoutMs, header });
    } else {
      this.#sendRequest(id, REQUEST_THEN_DATA, { method, payload: new Uint8Array(), timeoutMs, header });
      this.#sendData(id, request).catch((error) => this.#calls.fail(id, abortError(error)));
    }
    return {
      stream: true,
      service: method.parent,
      method,
      header: new Headers(),
      trailer: new Headers(),
      message: call.answers,
    };
  }

  async #sendOnly<I extends DescMessage, O extends DescMessage>(
    id: number,
    { method, message }: StreamRequest<I, O>,
    options: CallOptions,
  ): Promise<void> {
    try {
      for await (const first of message) {
        this.#sendRequest(id, REQUEST_ONLY, { method, payload: toBinary(method.input, first), ...options });
        break;
      }
    } catch (error) {
      this.#calls.delete(id);
      throw error;
    }
  }

  async #sendData<I extends DescMessage, O extends DescMessage>(id: number, request: StreamRequest<I, O>) {
    for await (const message of request.message) {
      if (!this.#calls.has(id)) return;
      this.#channel.send(id, DATA, toBinary(request.method.input, message));
      await this.#channel.room();
    }
    if (this.#calls.has(id)) this.#channel.send(id, END);
  }

  /** Ids go up on the wire, so what follows must send the request in the same turn. */
  #open(call: Call, method: DescMethod, { signal }: CallOptions): number {
    if (signal?.aborted) throw abortError(signal.reason);
    if (this.#channel.isClosed) throw this.#unavailable(method);
    return this.#calls.add(call);
  }

  #sendRequest(
    id: number,
    kind: { type: number; flags: number },
    { method, payload, timeoutMs, header }: CallOptions & { method: DescMethod; payload: Uint8Array },
  ): void {
    try {
      const tail = requestTail(this.#options.sendsDeadlines === false ? undefined : timeoutMs, header);
      this.#channel.send(id, kind, requestHead(method), requestPayloadHead(payload), payload, tail);
    } catch (cause) {
      this.#calls.delete(id);
      throw rpcError(`Cannot call ${method.name} of ${this.#options.peer}`, Code.ResourceExhausted, cause);
    }
  }

  #onFrame(frame: Frame): void {
    const call = this.#calls.get(frame.streamId);
    // The answer to a call that was given up: ttRPC has no way to tell the peer.
    if (call === undefined) return;
    if (frame.skippedBytes > 0) {
      const message = `Cannot take an answer of ${frame.skippedBytes} bytes from ${this.#options.peer}`;
      this.#calls.fail(frame.streamId, rpcError(message, Code.ResourceExhausted));
    } else if (call.onFrame(frame)) {
      this.#calls.delete(frame.streamId);
    }
  }

  async #receive(): Promise<void> {
    let cause: unknown;
    try {
      await this.#channel.receive((frame) => this.#onFrame(frame));
    } catch (error) {
      cause = error;
    }
    this.#fail(cause);
  }

  #fail(cause?: unknown): void {
    this.#channel.close();
    this.#calls.failAll(({ method }) => this.#unavailable(method, cause));
  }

  #unavailable(method: DescMethod, cause?: unknown): ConnectError {
    const message = `Cannot call ${method.name} of ${this.#options.peer}: the connection is closed`;
    return rpcError(message, Code.Unavailable, cause);
  }
}
