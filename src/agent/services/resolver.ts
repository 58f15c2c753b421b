/** Our own service beside Kata's: name queries of containers that the host answers. @module */
import type { ServiceImpl } from "@connectrpc/connect";
import type { Resolver } from "../../proto/resolver_pb.ts";
import type { QueryListener } from "../network/query_listener.ts";

/** Few pods need it, so the code for it is loaded late. */
export function resolverService(signal: AbortSignal): ServiceImpl<typeof Resolver> {
  let loading: Promise<QueryListener> | undefined;
  async function queries(): Promise<QueryListener> {
    return await (loading ??= load(signal));
  }
  return {
    async listen({ address }) {
      (await queries()).listen(address);
      return {};
    },
    async next(_, { signal }) {
      return await (await queries()).next(signal);
    },
    async answer({ id, message }) {
      (await queries()).answer(id, message);
      return {};
    },
  };
}

async function load(signal: AbortSignal): Promise<QueryListener> {
  const { QueryListener } = await import("../network/query_listener.ts");
  const queries = new QueryListener();
  signal.addEventListener("abort", () => queries[Symbol.dispose](), { once: true });
  return queries;
}
