/** An agent for tests that need one to answer, and no more of it. @module */
import { createLogger } from "../../../base/log.ts";
import { Health } from "../../../proto/health_pb.ts";
import { listen } from "../../../rpc/transport/address.ts";
import { defineService, serveTtrpc } from "../../../rpc/ttrpc/server.ts";

/** An agent that is well, until disposed. @param socket Path. */
export function serveAgent(socket: string): AsyncDisposable {
  const stop = new AbortController();
  const health = defineService(Health, { check: () => ({ status: 1 }) });
  const log = createLogger({ sink: () => {} });
  const serving = serveTtrpc(listen(`unix://${socket}`), [health], { signal: stop.signal, log });
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await serving;
    },
  };
}
