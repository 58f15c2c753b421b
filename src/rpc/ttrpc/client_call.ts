/** One pending call of a client: what a frame of its stream means, and when it is given up. @module */
import {
  type DescMessage,
  type DescMethod,
  type DescMethodStreaming,
  type DescMethodUnary,
  fromBinary,
  type MessageShape,
} from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { startDeadline } from "./deadline.ts";
import { decodeResponse } from "./envelope.ts";
import { abortError, rpcError, statusToError } from "./errors.ts";
import { type Frame, FRAME_FLAG, FRAME_TYPE } from "./frame.ts";
import { MessageQueue } from "../transport/queue.ts";

export interface Call {
  readonly method: DescMethod;
  /** @returns Whether that was the last frame of the stream. */
  onFrame(frame: Frame): boolean;
  fail(error: ConnectError): void;
}

export class UnaryCall<I extends DescMessage, O extends DescMessage> implements Call {
  readonly #answer = Promise.withResolvers<MessageShape<O>>();

  constructor(readonly method: DescMethodUnary<I, O>) {}

  get answer(): Promise<MessageShape<O>> {
    return this.#answer.promise;
  }

  onFrame({ type, data }: Frame): boolean {
    try {
      if (type !== FRAME_TYPE.response) throw new TypeError(`Cannot take a frame of type ${type} as an answer`);
      const { status, payload } = decodeResponse(data);
      if (status !== undefined) this.#answer.reject(statusToError(status));
      else this.#answer.resolve(fromBinary(this.method.output, payload));
    } catch (cause) {
      this.#answer.reject(unreadable(this.method, cause));
    }
    return true;
  }

  fail(error: ConnectError): void {
    this.#answer.reject(error);
  }
}

export class StreamCall<O extends DescMessage> implements Call {
  readonly answers = new MessageQueue<MessageShape<O>>();

  constructor(readonly method: DescMethodStreaming<DescMessage, O>) {}

  onFrame(frame: Frame): boolean {
    try {
      const isLast = frame.type === FRAME_TYPE.response ? this.#onResponse(frame) : this.#onData(frame);
      if (isLast) this.answers.end();
      return isLast;
    } catch (cause) {
      this.fail(unreadable(this.method, cause));
      return true;
    }
  }

  fail(error: ConnectError): void {
    this.answers.end({ error });
  }

  #onResponse({ data }: Frame): boolean {
    const { status, payload } = decodeResponse(data);
    if (status !== undefined) this.fail(statusToError(status));
    else if (this.method.methodKind === "client_streaming" || payload.length > 0) this.#push(payload);
    return true;
  }

  #onData({ type, flags, data }: Frame): boolean {
    if (type !== FRAME_TYPE.data) throw new TypeError(`Cannot take a frame of type ${type} as an answer`);
    if ((flags & FRAME_FLAG.noData) === 0) this.#push(data);
    return (flags & FRAME_FLAG.remoteClosed) !== 0;
  }

  #push(data: Uint8Array): void {
    // A copy: a small message that waits would keep the whole read buffer that it came in.
    const message = fromBinary(this.method.output, data.slice());
    if (this.answers.push(message, data.length)) return;
    throw rpcError(`Too many answers of ${this.method.name} wait to be read`, Code.ResourceExhausted);
  }
}

/** Calls `giveUp` when the deadline passes or the signal fires, whichever is first, until disposed. */
export function giveUpOn(
  { signal, timeoutMs }: { signal?: AbortSignal | undefined; timeoutMs?: number | undefined },
  giveUp: (error: ConnectError) => void,
): Disposable | undefined {
  if (signal === undefined && timeoutMs === undefined) return undefined;
  const onAbort = () => giveUp(abortError(signal?.reason));
  signal?.addEventListener("abort", onAbort, { once: true });
  const timer = timeoutMs === undefined ? undefined : startDeadline(timeoutMs, giveUp);
  return {
    [Symbol.dispose]() {
      signal?.removeEventListener("abort", onAbort);
      clearTimeout(timer);
    },
  };
}

function unreadable(method: DescMethod, cause: unknown): ConnectError {
  if (cause instanceof ConnectError) return cause;
  return rpcError(`Cannot read the answer of ${method.name}`, Code.Internal, cause);
}
