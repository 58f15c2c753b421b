/** Our own service beside Kata's: connections within the guest. @module */
import type { ServiceImpl } from "@connectrpc/connect";
import type { Connections as ConnectionsService } from "../../proto/connections_pb.ts";
import type { Connections } from "../network/connections.ts";

/** Most pods are never asked for one, so the code for it is loaded late. */
export function connectionsService(signal: AbortSignal): ServiceImpl<typeof ConnectionsService> {
  let loading: Promise<Connections> | undefined;
  async function connections(): Promise<Connections> {
    return await (loading ??= load(signal));
  }
  return {
    async open({ port }) {
      return { id: await (await connections()).open(port) };
    },
    async read({ id, length }) {
      return { data: await (await connections()).read(id, length) };
    },
    async write({ id, data }) {
      await (await connections()).write(id, data);
      return {};
    },
    async finish({ id }) {
      await (await connections()).finish(id);
      return {};
    },
    async close({ id }) {
      (await connections()).close(id);
      return {};
    },
  };
}

async function load(signal: AbortSignal): Promise<Connections> {
  const { Connections } = await import("../network/connections.ts");
  const connections = new Connections();
  signal.addEventListener("abort", () => connections[Symbol.dispose](), { once: true });
  return connections;
}
