/** What runs around calls, at either end. @module */
import type { Interceptor } from "@connectrpc/connect";
import { type Clock, systemClock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import { rpcCode } from "./errors.ts";

/** The keys by which a trace goes on in another process. */
const TRACE_KEYS = ["traceparent", "tracestate"] as const;

/** A place in a trace, in W3C form. */
export interface TraceContext {
  traceparent: string;
  tracestate?: string;
}

/**
 * Sends the present place in a trace with each call of a client.
 *
 * @param current Asked at each call; undefined where nothing is traced.
 * @see https://www.w3.org/TR/trace-context/
 */
export function sendTraceContext(current: () => TraceContext | undefined): Interceptor {
  return (next) => (request) => {
    const context = current();
    for (const key of TRACE_KEYS) {
      const value = context?.[key];
      if (value !== undefined) request.header.set(key, value);
    }
    return next(request);
  };
}

/** The caller's place in a trace, from the metadata of its call. */
export function traceContextOf(header: Headers): TraceContext | undefined {
  const traceparent = header.get("traceparent");
  const tracestate = header.get("tracestate");
  if (traceparent === null) return undefined;
  return tracestate === null ? { traceparent } : { traceparent, tracestate };
}

/**
 * Logs each call with its duration and code, at the level debug. Only the method is named, never the message: specs and
 * environments hold secrets.
 */
export function logCalls(log: Logger, clock: Clock = systemClock): Interceptor {
  return (next) => async (request) => {
    const begin = clock.now();
    const { service, method } = request;
    const report = (fields: Record<string, unknown>) =>
      log.debug("Call", { call: `${service.typeName}/${method.name}`, ms: clock.now() - begin, ...fields });
    try {
      const response = await next(request);
      report({});
      return response;
    } catch (error) {
      report({ code: rpcCode(error), error });
      throw error;
    }
  };
}
