/** Name queries of the guest that the host answers. @module */
import type { AgentCallOptions, ResolverApi } from "./answers.ts";

export interface GuestQuery {
  /** The guest's own number of it. */
  id: number;
  message: Uint8Array;
  /** Came by TCP. */
  tcp: boolean;
}

/** Calls about queries. Ours: Kata's own agent answers UNIMPLEMENTED. */
export interface GuestResolver {
  /** Has the guest listen on an address of its loopback. */
  listen(address: string, options?: AgentCallOptions): Promise<void>;
  /** Waits for a query. */
  next(options: AgentCallOptions): Promise<GuestQuery>;
  /** @param message Empty: there is no answer. */
  answer(id: number, message: Uint8Array, options?: AgentCallOptions): Promise<void>;
}

export function guestResolver(api: ResolverApi): GuestResolver {
  return {
    listen: (address, options) => api.listen({ address }, options),
    next: (options) => api.next({}, options),
    answer: (id, message, options) => api.answer({ id, message }, options),
  };
}
