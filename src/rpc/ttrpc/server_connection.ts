/** One connection to a server: finds the method of each request, runs it, holds the peer to the protocol. @module */
import { create, type DescMessage, type DescService, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, type ConnectError, type createMethodImplSpec, type Interceptor } from "@connectrpc/connect";
import { invokeUnaryImplementation, transformInvokeImplementation } from "@connectrpc/connect/protocol";
import type { Request } from "../../proto/ttrpc_pb.ts";
import { FrameChannel } from "./channel.ts";
import type { Duplex } from "../transport/duplex.ts";
import { decodeRequest, encodeStatus } from "./envelope.ts";
import { errorToStatus, rpcError } from "./errors.ts";
import { type Frame, FRAME_FLAG, FRAME_TYPE, isLaterStreamId } from "./frame.ts";
import { ByteBudget, MessageQueue } from "../transport/queue.ts";
import { ServerCall } from "./server_call.ts";

type MethodSpec = ReturnType<typeof createMethodImplSpec>;
type UnarySpec = Extract<MethodSpec, { kind: "unary" }>;

/** Every method of a server by service and name, such as `grpc.Health/Check`. */
export type MethodTable = ReadonlyMap<string, { service: DescService; spec: MethodSpec }>;

export interface ConnectionOptions {
  interceptors: Interceptor[];
  defaultCode: Code;
  /** Calls in progress beyond which a new one is refused. */
  maxCalls: number;
  /** How long calls may go on after the peer has stopped sending, in milliseconds. */
  lingerMs: number;
}

const RESPONSE = { type: FRAME_TYPE.response, flags: 0 };

/** Most bytes that all streams of one connection may leave unread together. */
const MAX_INPUT_BYTES = 32 << 20;

/** How long the last answers may take to leave, when the peer does not read them. */
const MAX_FLUSH_MS = 1000;

export class ServerConnection {
  readonly #channel: FrameChannel;
  readonly #methods: MethodTable;
  readonly #options: ConnectionOptions;
  readonly #calls = new Map<number, ServerCall>();
  /** Queues of messages for calls whose request is a stream, by stream id. */
  readonly #inputs = new Map<number, MessageQueue<Uint8Array>>();
  readonly #inputBudget = new ByteBudget(MAX_INPUT_BYTES);
  /** The largest id of a request; ids go round. */
  #lastId: number | undefined;
  #isDraining = false;
  readonly #onIdle = new Set<() => void>();

  constructor(duplex: Duplex, methods: MethodTable, options: ConnectionOptions) {
    this.#channel = new FrameChannel(duplex);
    this.#methods = methods;
    this.#options = options;
  }

  /**
   * Answers requests until the connection ends. A peer that only stops sending still gets the answers that come soon:
   * half-closed and gone look the same to us.
   *
   * @throws If the connection fails, other than by {@linkcode drain}.
   */
  async serve(): Promise<void> {
    try {
      await this.#channel.receive((frame) => this.#onFrame(frame), () => this.#channel.room());
      await this.#idle(this.#options.lingerMs);
    } catch (error) {
      if (!this.#isDraining && !this.#channel.isClosed) throw error;
    } finally {
      this.#abortCalls(callerGone());
      await this.#channel.closeFlushed(MAX_FLUSH_MS);
    }
  }

  /** Refuses new calls, gives those in progress `ms` to end, then ends them and closes the connection. */
  async drain(ms: number): Promise<void> {
    this.#isDraining = true;
    await this.#idle(ms);
    this.#abortCalls(rpcError("The server is shutting down", Code.Unavailable));
    await this.#channel.closeFlushed(MAX_FLUSH_MS);
  }

  /** Resolves when no call is in progress, at the latest after `ms`. */
  async #idle(ms: number): Promise<void> {
    if (this.#calls.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onIdle.add(resolve);
    const timer = setTimeout(resolve, ms);
    await promise;
    clearTimeout(timer);
    this.#onIdle.delete(resolve);
  }

  #abortCalls(reason: ConnectError): void {
    for (const call of [...this.#calls.values()]) call.abort(reason);
  }

  #onFrame(frame: Frame): void {
    const { streamId, type, flags, skippedBytes } = frame;
    if (skippedBytes > 0) {
      this.#refuse(streamId, Code.ResourceExhausted, `A message of ${skippedBytes} bytes is too long`);
    } else if (type === FRAME_TYPE.data) this.#onData(frame);
    else if (type !== FRAME_TYPE.request) {
      this.#refuse(streamId, Code.InvalidArgument, `Frames of type ${type} are unknown`);
    } else if (streamId % 2 === 0) this.#refuse(streamId, Code.InvalidArgument, "The stream id of a client is odd");
    else if (this.#calls.has(streamId)) {
      this.#refuse(streamId, Code.InvalidArgument, "A call in progress has this stream id");
    } else this.#onRequest(streamId, flags, frame.data);
  }

  /** Whether no request has had this id or a later one, since the ids went round. */
  #isAhead(streamId: number): boolean {
    return this.#lastId === undefined || isLaterStreamId(streamId, this.#lastId);
  }

  /**
   * Takes ids in any order: Kata's client in Rust draws one before it queues the message, so that two calls may come in
   * the other order.
   */
  #onRequest(streamId: number, flags: number, data: Uint8Array): void {
    if (this.#isAhead(streamId)) this.#lastId = streamId;
    if (this.#isDraining) return this.#refuse(streamId, Code.Unavailable, "The server is shutting down");
    if (this.#calls.size >= this.#options.maxCalls) {
      return this.#refuse(streamId, Code.ResourceExhausted, `${this.#calls.size} calls are in progress`);
    }
    let request: Request;
    try {
      request = decodeRequest(data);
    } catch (cause) {
      return this.#refuse(streamId, Code.InvalidArgument, `The request is malformed: ${cause}`);
    }
    const path = `${request.service}/${request.method}`;
    const found = this.#methods.get(path);
    if (found === undefined) return this.#refuse(streamId, Code.Unimplemented, `${path} is not implemented`);
    this.#run(streamId, flags, request, found);
  }

  #run(
    streamId: number,
    flags: number,
    request: Request,
    { service, spec }: { service: DescService; spec: MethodSpec },
  ) {
    const call = new ServerCall({
      channel: this.#channel,
      streamId,
      service,
      method: spec.method,
      request,
      defaultCode: this.#options.defaultCode,
      onEnd: (id) => this.#onEnd(id),
    });
    this.#calls.set(streamId, call);
    // Neither rejects; the call is in #calls until it has its answer.
    if (spec.kind === "unary") void this.#answerUnary(call, spec, request.payload);
    else void this.#answerStream(call, spec, this.#openInput(streamId, flags, request));
  }

  async #answerUnary(call: ServerCall, spec: UnarySpec, payload: Uint8Array): Promise<void> {
    try {
      const { method } = spec;
      const input = decodeInput(method.input, payload);
      const { interceptors } = this.#options;
      const output = interceptors.length === 0
        ? await spec.impl(input, call)
        : await invokeUnaryImplementation(spec, call.plainContext(), input, interceptors);
      call.respond(toBinary(method.output, create(method.output, output)));
    } catch (error) {
      call.fail(error);
    }
  }

  async #answerStream(call: ServerCall, spec: MethodSpec, input: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      const { method } = spec;
      const invoke = transformInvokeImplementation(spec, call.plainContext(), this.#options.interceptors);
      for await (const output of invoke(decodeInputs(method.input, input))) {
        const payload = toBinary(method.output, output);
        if (spec.kind === "client_streaming") return call.respond(payload);
        await call.send(payload);
        if (call.hasEnded) return;
      }
      call.close();
    } catch (error) {
      call.fail(error);
    }
  }

  #openInput(streamId: number, flags: number, { payload }: Request): AsyncIterable<Uint8Array> {
    const input = new MessageQueue<Uint8Array>({ budget: this.#inputBudget });
    const isOpen = (flags & FRAME_FLAG.remoteOpen) !== 0;
    if (!isOpen || payload.length > 0) this.#queue(streamId, input, payload);
    if (isOpen) this.#inputs.set(streamId, input);
    else input.end();
    return input;
  }

  #onData({ streamId, flags, data }: Frame): void {
    const input = this.#inputs.get(streamId);
    if (input === undefined) {
      // Data may still be on its way when a call has ended; only a stream that never was is the peer's mistake.
      if (this.#isAhead(streamId)) this.#refuse(streamId, Code.InvalidArgument, "Data came before a request");
      return;
    }
    if ((flags & FRAME_FLAG.noData) === 0) this.#queue(streamId, input, data);
    if ((flags & FRAME_FLAG.remoteClosed) !== 0) {
      this.#inputs.delete(streamId);
      input.end();
    }
  }

  /** A copy, because a small message that waits would keep the whole read buffer that it came in. */
  #queue(streamId: number, input: MessageQueue<Uint8Array>, message: Uint8Array): void {
    if (input.push(message.slice(), message.length)) return;
    const error = rpcError("Too many messages wait to be read", Code.ResourceExhausted);
    input.end({ error });
    this.#calls.get(streamId)?.abort(error);
  }

  #onEnd(streamId: number): void {
    this.#calls.delete(streamId);
    const input = this.#inputs.get(streamId);
    input?.end({ error: callerGone() });
    input?.discard();
    this.#inputs.delete(streamId);
    if (this.#calls.size === 0) this.#onIdle.forEach((wake) => wake());
  }

  #refuse(streamId: number, code: Code, message: string): void {
    this.#channel.send(streamId, RESPONSE, encodeStatus(errorToStatus(rpcError(message, code), code)));
  }
}

function callerGone(): ConnectError {
  return rpcError("The caller has ended the call", Code.Canceled);
}

function decodeInput<I extends DescMessage>(schema: I, payload: Uint8Array) {
  try {
    return fromBinary(schema, payload);
  } catch (cause) {
    throw rpcError(`Cannot read a ${schema.typeName}: ${cause}`, Code.InvalidArgument, cause);
  }
}

async function* decodeInputs<I extends DescMessage>(schema: I, payloads: AsyncIterable<Uint8Array>) {
  for await (const payload of payloads) yield decodeInput(schema, payload);
}
