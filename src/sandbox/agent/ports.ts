/** Connections to servers on the guest's loopback. @module */
import type { AgentCallOptions, ConnectionsApi } from "./answers.ts";

/** Calls about connections, by the number that `open` gives. Ours: Kata's own agent answers UNIMPLEMENTED. */
export interface GuestPorts {
  /** @returns The connection's number. */
  open(port: number, options?: AgentCallOptions): Promise<number>;
  /** Waits for data. @returns No more than `length` bytes; none at the end. */
  read(id: number, options: AgentCallOptions & { length: number }): Promise<Uint8Array>;
  /** Waits until the server's socket has taken all. */
  write(id: number, data: Uint8Array, options?: AgentCallOptions): Promise<void>;
  /** Ends the direction to the server. */
  finish(id: number, options?: AgentCallOptions): Promise<void>;
  close(id: number, options?: AgentCallOptions): Promise<void>;
}

export function guestPorts(connections: ConnectionsApi): GuestPorts {
  return {
    open: async (port, options) => (await connections.open({ port }, options)).id,
    read: async (id, { length, ...options }) => (await connections.read({ id, length }, options)).data,
    write: (id, data, options) => connections.write({ id, data }, options),
    finish: (id, options) => connections.finish({ id }, options),
    close: (id, options) => connections.close({ id }, options),
  };
}
