/** One call that a server answers: what the handler sees of it, and the one end that it gets. @module */
import { create, type DescMethod, type DescService } from "@bufbuild/protobuf";
import {
  Code,
  type ConnectError,
  type ContextValues,
  createContextValues,
  type HandlerContext,
} from "@connectrpc/connect";
import type { Request } from "../../proto/ttrpc_pb.ts";
import type { FrameChannel } from "./channel.ts";
import { startDeadline } from "./deadline.ts";
import { encodeStatus, fromMetadata, responsePayloadHead } from "./envelope.ts";
import { errorToStatus, rpcError } from "./errors.ts";
import { type Status, StatusSchema } from "../../proto/rpc_status_pb.ts";
import { FRAME_FLAG, FRAME_TYPE } from "./frame.ts";

const RESPONSE = { type: FRAME_TYPE.response, flags: 0 };
const DATA = { type: FRAME_TYPE.data, flags: 0 };
const END = { type: FRAME_TYPE.data, flags: FRAME_FLAG.remoteClosed | FRAME_FLAG.noData };

export interface ServerCallInit {
  channel: FrameChannel;
  streamId: number;
  service: DescService;
  method: DescMethod;
  request: Request;
  /** The code of errors that have none. */
  defaultCode: Code;
  /** Called once, when the call has ended. */
  onEnd: (streamId: number) => void;
}

/**
 * The context of a handler. Connect's own is made of three Headers and two AbortControllers, which most handlers never
 * look at and which cost more than the call: here each is made when asked for.
 */
export class ServerCall implements HandlerContext {
  readonly protocolName = "ttrpc";
  readonly requestMethod = "POST";
  readonly #init: ServerCallInit;
  readonly #endsAt: number | undefined;
  readonly #timer: ReturnType<typeof setTimeout> | undefined;
  #hasEnded = false;
  #abortReason: ConnectError | undefined;
  #controller: AbortController | undefined;
  #requestHeader: Headers | undefined;
  #values: ContextValues | undefined;

  constructor(init: ServerCallInit) {
    this.#init = init;
    const timeoutMs = Number(init.request.timeoutNano) / 1e6;
    if (timeoutMs === 0) return;
    this.#endsAt = Date.now() + timeoutMs;
    this.#timer = startDeadline(timeoutMs, (error) => this.abort(error));
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  get service(): DescService {
    return this.#init.service;
  }

  get method(): DescMethod {
    return this.#init.method;
  }

  get url(): string {
    return `/${this.service.typeName}/${this.method.name}`;
  }

  get requestHeader(): Headers {
    return this.#requestHeader ??= fromMetadata(this.#init.request.metadata);
  }

  /** ttRPC answers carry no metadata: what a handler puts here is lost. */
  get responseHeader(): Headers {
    return new Headers();
  }

  get responseTrailer(): Headers {
    return new Headers();
  }

  get values(): ContextValues {
    return this.#values ??= createContextValues();
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#abortReason !== undefined) this.#controller.abort(this.#abortReason);
    }
    return this.#controller.signal;
  }

  /** A function of its own, because handlers take it out of the context. */
  get timeoutMs(): () => number | undefined {
    const endsAt = this.#endsAt;
    return () => endsAt === undefined ? undefined : endsAt - Date.now();
  }

  /** The context as an object of its own properties: Connect's interceptors copy it with Object.assign. */
  plainContext(): HandlerContext {
    const { service, method, protocolName, requestMethod, url, requestHeader, signal, values, timeoutMs } = this;
    const { responseHeader, responseTrailer } = this;
    return {
      ...{ service, method, protocolName, requestMethod, url, signal, values, timeoutMs },
      ...{ requestHeader, responseHeader, responseTrailer },
    };
  }

  /** Ends the call with this error and tells the handler by its signal; what the handler answers later is dropped. */
  abort(reason: ConnectError): void {
    if (this.#hasEnded) return;
    this.#abortReason = reason;
    this.fail(reason);
    this.#controller?.abort(reason);
  }

  /** Answers with one message. */
  respond(payload: Uint8Array): void {
    if (this.#hasEnded) return;
    this.#sendOr(RESPONSE, responsePayloadHead(payload), payload);
    this.#end();
  }

  /** Adds a message to a streaming answer. */
  async send(payload: Uint8Array): Promise<void> {
    if (this.#hasEnded) return;
    this.#sendOr(DATA, payload);
    await this.#init.channel.room();
  }

  /** Ends a streaming answer. */
  close(): void {
    if (this.#hasEnded) return;
    this.#sendOr(END);
    this.#end();
  }

  /** Answers the call with an error and ends it, even if the error itself cannot be encoded. */
  fail(error: unknown): void {
    if (this.#hasEnded) return;
    const { channel, streamId, defaultCode } = this.#init;
    try {
      channel.send(streamId, RESPONSE, encodeStatus(errorToStatus(error, defaultCode)));
    } catch {
      channel.send(streamId, RESPONSE, encodeStatus(unspeakable(this.method)));
    } finally {
      this.#end();
    }
  }

  #sendOr(kind: { type: number; flags: number }, ...pieces: Uint8Array[]): void {
    try {
      this.#init.channel.send(this.#init.streamId, kind, ...pieces);
    } catch (cause) {
      this.fail(rpcError(`Cannot answer ${this.method.name}`, Code.ResourceExhausted, cause));
    }
  }

  #end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    clearTimeout(this.#timer);
    this.#init.onEnd(this.#init.streamId);
  }
}

/** For an error whose own text or details cannot be sent. */
function unspeakable({ name }: DescMethod): Status {
  return create(StatusSchema, { code: Code.Internal, message: `Cannot say why ${name} failed` });
}
