/** Interceptors of calls, at either end. @module */
import type { Interceptor } from "@connectrpc/connect";
import { type Clock, systemClock } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import { rpcCode } from "./errors.ts";

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
