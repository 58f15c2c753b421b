/** Interfaces, routes and neighbours of the guest. @module */
import { KataError } from "../../base/error.ts";
import { interfaceToWire, routeToWire } from "../../agent_api/network.ts";
import { Rtnetlink } from "../../linux/net/rtnetlink.ts";
import { ROUTE_TABLE } from "../../linux/net/rtnetlink_route.ts";
import type { AgentMethods, Guest } from "../guest.ts";
import { addNeighbors, updateInterface, updateRoutes } from "../network/network.ts";

/** All of it is applied at once: the guest has no network daemon. */
export function networkMethods({ devices }: Guest): AgentMethods {
  return {
    async updateInterface(request, { signal }) {
      const { interface: wanted } = request;
      if (wanted === undefined) throw empty("change an interface");
      await updateInterface(wanted, { devices, signal });
      return wanted;
    },
    updateRoutes({ routes }) {
      if (routes === undefined) throw empty("change the routes");
      updateRoutes(routes.Routes, routes.rules);
      return listRoutes();
    },
    listInterfaces: () => listInterfaces(),
    listRoutes: () => listRoutes(),
    addARPNeighbors({ neighbors }) {
      if (neighbors === undefined) throw empty("add neighbours");
      addNeighbors(neighbors.ARPNeighbors);
      return {};
    },
  };
}

function empty(what: string): KataError {
  return new KataError("INVALID_ARGUMENT", `Cannot ${what}: the request is empty`);
}

function listInterfaces() {
  using netlink = new Rtnetlink();
  const addresses = Map.groupBy(netlink.addresses(), ({ link }) => link);
  const interfaces = netlink.links().map((link) => ({
    ...link,
    addresses: (addresses.get(link.index) ?? []).map((address) => ({
      ...address,
      noPrefixRoute: address.flags.has("noprefixroute"),
      label: address.label === link.name ? undefined : address.label,
    })),
  }));
  return { Interfaces: interfaces.map(interfaceToWire) };
}

function listRoutes() {
  using netlink = new Rtnetlink();
  const names = new Map(netlink.links().map(({ index, name }) => [index, name]));
  const routes = netlink.routes().filter(({ table }) => table === ROUTE_TABLE.main);
  const ways = routes.flatMap((route) =>
    route.nexthops.length === 0 ? [route] : route.nexthops.map((way) => ({ ...route, ...way }))
  );
  return { Routes: ways.map((route) => routeToWire({ ...route, device: names.get(route.link ?? 0) ?? "" })) };
}
