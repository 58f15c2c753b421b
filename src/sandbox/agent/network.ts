/** Network of the guest: its interfaces, routes and neighbours. @module */
import {
  type GuestInterface,
  type GuestNeighbor,
  type GuestRoute,
  interfaceToWire,
  neighborToWire,
  routeToWire,
} from "../../agent_api/network.ts";
import type { AgentApi } from "./answers.ts";

/** Calls about the guest's network. They throw KataErrors only. */
export interface GuestLinks {
  /** Waits for the card, and gives it its name and addresses. */
  setInterface(link: GuestInterface): Promise<void>;
  /** In place of all routes that there are. */
  setRoutes(routes: readonly GuestRoute[]): Promise<void>;
  addNeighbors(neighbors: readonly GuestNeighbor[]): Promise<void>;
}

export function guestLinks(api: AgentApi): GuestLinks {
  return {
    setInterface: (link) => api.updateInterface({ interface: interfaceToWire(link) }),
    setRoutes: (routes) => api.updateRoutes({ routes: { Routes: routes.map(routeToWire) } }),
    addNeighbors: (neighbors) => api.addARPNeighbors({ neighbors: { ARPNeighbors: neighbors.map(neighborToWire) } }),
  };
}
