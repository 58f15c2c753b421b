/** Network of the guest: its interfaces, routes and neighbours. @module */
import {
  type GuestInterface,
  type GuestNeighbor,
  type GuestRoute,
  interfaceToWire,
  neighborToWire,
  type NetworkLeftovers,
  routeToWire,
} from "../../agent_api/network.ts";
import type { AgentApi, LeftoversApi } from "./answers.ts";

/** Calls about the guest's network. They throw KataErrors only. */
export interface GuestLinks {
  /** Waits for the card, and gives it its name and addresses. */
  setInterface(link: GuestInterface): Promise<void>;
  /** Each in place of one to the same destination; rules are added to those that there are. */
  setRoutes(routes: readonly GuestRoute[], rules?: readonly Uint8Array[]): Promise<void>;
  addNeighbors(neighbors: readonly GuestNeighbor[]): Promise<void>;
  /** Takes away what is there no longer. Ours: Kata's own agent answers UNIMPLEMENTED. */
  remove(leftovers: NetworkLeftovers): Promise<void>;
}

export function guestLinks(api: AgentApi, leftovers: LeftoversApi): GuestLinks {
  return {
    setInterface: (link) => api.updateInterface({ interface: interfaceToWire(link) }),
    setRoutes: (routes, rules = []) =>
      api.updateRoutes({ routes: { Routes: routes.map(routeToWire), rules: [...rules] } }),
    remove: ({ cards, interfaces, routes, rules }) =>
      leftovers.removeNetwork({
        cards: [...cards],
        interfaces: interfaces.map(interfaceToWire),
        routes: routes.map(routeToWire),
        rules: [...rules],
      }),
    addNeighbors: (neighbors) => api.addARPNeighbors({ neighbors: { ARPNeighbors: neighbors.map(neighborToWire) } }),
  };
}
