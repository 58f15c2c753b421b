/** Interfaces, routes and neighbours of the guest. @module */
import { Rtnetlink } from "../../linux/net/rtnetlink.ts";
import { ROUTE_TABLE } from "../../linux/net/rtnetlink_route.ts";
import type { AgentPart, Guest } from "../guest.ts";
import { addNeighbors, updateInterface, updateRoutes } from "../machine/network.ts";
import { interfaceToWire, routeToWire } from "../machine/network_wire.ts";

/** All of it is applied at once: the guest has no network daemon. */
export function networkPart({ devices }: Guest): AgentPart {
  return {
    async updateInterface(request, { signal }) {
      const { interface: wanted } = request;
      if (wanted === undefined) return {};
      await updateInterface(wanted, { devices, signal });
      return wanted;
    },
    updateRoutes({ routes }) {
      updateRoutes(routes?.Routes ?? []);
      return listRoutes();
    },
    listInterfaces: () => listInterfaces(),
    listRoutes: () => listRoutes(),
    addARPNeighbors({ neighbors }) {
      addNeighbors(neighbors?.ARPNeighbors ?? []);
      return {};
    },
  };
}

function listInterfaces() {
  using netlink = new Rtnetlink();
  const addresses = Map.groupBy(netlink.addresses(), ({ link }) => link);
  return { Interfaces: netlink.links().map((link) => interfaceToWire(link, addresses.get(link.index) ?? [])) };
}

function listRoutes() {
  using netlink = new Rtnetlink();
  const names = new Map(netlink.links().map(({ index, name }) => [index, name]));
  const routes = netlink.routes().filter(({ table }) => table === ROUTE_TABLE.main);
  return { Routes: routes.map((route) => routeToWire(route, names.get(route.link ?? 0) ?? "")) };
}
