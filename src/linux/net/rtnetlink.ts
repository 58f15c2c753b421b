/**
 * Links, addresses, routes and neighbours of one network namespace.
 *
 * @see https://man7.org/linux/man-pages/man7/rtnetlink.7.html
 * @module
 */
import { isErrno } from "../ffi/errno.ts";
import type { Family } from "./ip_address.ts";
import { NLM_F } from "./netlink.ts";
import { NETLINK, type NetlinkRequest, NetlinkSocket } from "./netlink_socket.ts";
import {
  type Address,
  decodeAddress,
  encodeAddress,
  encodeAddressFilter,
  type NewAddress,
} from "./rtnetlink_address.ts";
import { decodeLink, type Link } from "./rtnetlink_link.ts";
import {
  encodeLinkChange,
  encodeLinkKey,
  encodeNewLink,
  type LinkChange,
  type NewLink,
} from "./rtnetlink_link_change.ts";
import {
  decodeNeighbor,
  encodeNeighbor,
  encodeNeighborFilter,
  type Neighbor,
  type NewNeighbor,
} from "./rtnetlink_neighbor.ts";
import { decodeRoute, encodeRoute, encodeRouteFilter, type NewRoute, type Route } from "./rtnetlink_route.ts";
import { decodeRule, encodeRuleFilter, type Rule, verifyRule } from "./rtnetlink_rule.ts";

export type { Address, AddressFlag, NewAddress } from "./rtnetlink_address.ts";
export type { Link, LinkFlag, LinkStatistics } from "./rtnetlink_link.ts";
export type { LinkChange, LinkKind, NewLink } from "./rtnetlink_link_change.ts";
export type { Neighbor, NewNeighbor } from "./rtnetlink_neighbor.ts";
export type { NewRoute, Route } from "./rtnetlink_route.ts";
export type { Rule } from "./rtnetlink_rule.ts";

const RTM = {
  NEWLINK: 16,
  DELLINK: 17,
  GETLINK: 18,
  NEWADDR: 20,
  DELADDR: 21,
  GETADDR: 22,
  NEWROUTE: 24,
  DELROUTE: 25,
  GETROUTE: 26,
  NEWNEIGH: 28,
  DELNEIGH: 29,
  GETNEIGH: 30,
  NEWRULE: 32,
  DELRULE: 33,
  GETRULE: 34,
} as const;

const CREATE = NLM_F.CREATE | NLM_F.EXCL;
const REPLACE = NLM_F.CREATE | NLM_F.REPLACE;

/** Selects the objects to list. */
export interface ListFilter {
  /** Index of a link. */
  link?: number;
  family?: Family;
}

/**
 * A conversation with the network namespace in which the calling thread was when the object was made; it goes on with
 * that one wherever the thread moves later. Everything is synchronous and throws an `ErrnoError` with the kernel's
 * explanation: `RTM_NEWLINK eth0 (…): EEXIST`.
 */
export class Rtnetlink implements Disposable {
  readonly #socket = new NetlinkSocket(NETLINK.ROUTE);

  /** Sends a request of another part of rtnetlink, such as traffic control. */
  get socket(): NetlinkSocket {
    return this.#socket;
  }

  /** All links, with their state and counters of now. */
  links(): Link[] {
    const answers = this.#dump({ name: "RTM_GETLINK", type: RTM.GETLINK, payload: encodeLinkKey(0) });
    return answers.map(decodeLink);
  }

  /** Looks up a link. @param key Index or name. @returns undefined if there is none. */
  findLink(key: number | string): Link | undefined {
    try {
      return this.link(key);
    } catch (error) {
      if (isErrno(error, "ENODEV")) return undefined;
      throw error;
    }
  }

  /** Looks up a link that must be there. @param key Index or name. @throws {ErrnoError} ENODEV: there is none. */
  link(key: number | string): Link {
    const request = { name: "RTM_GETLINK", type: RTM.GETLINK, payload: encodeLinkKey(key), detail: String(key) };
    const [answer] = this.#socket.request(request);
    if (answer === undefined) throw new Error(`Cannot look up link "${key}": no answer`);
    return decodeLink(answer.payload);
  }

  /** Makes a link. @returns As the kernel made it; for a veth, the end in this namespace that `link` names. */
  addLink(link: NewLink): Link {
    this.#act("NEWLINK", { payload: encodeNewLink(link), flags: CREATE, detail: link.name });
    return this.link(link.name);
  }

  /** Changes what is given and nothing else. @param index Of the link; its name may change. */
  changeLink(index: number, change: LinkChange): void {
    this.#act("NEWLINK", { payload: encodeLinkChange(index, change), detail: `link ${index}` });
  }

  /** Takes a link away; of a veth, both ends. */
  deleteLink(index: number): void {
    this.#act("DELLINK", { payload: encodeLinkKey(index), detail: `link ${index}` });
  }

  /** IP addresses of all links, or of one. */
  addresses(filter: ListFilter = {}): Address[] {
    const payload = encodeAddressFilter(filter);
    return this.#dump({ name: "RTM_GETADDR", type: RTM.GETADDR, payload }).flatMap((bytes) =>
      decodeAddress(bytes) ?? []
    );
  }

  /** @throws {ErrnoError} EEXIST: the link has the address. */
  addAddress(address: NewAddress): void {
    this.#act("NEWADDR", { payload: encodeAddress(address), flags: CREATE, detail: address.address });
  }

  /** Adds an address, or changes the flags and scope of one that is there. */
  replaceAddress(address: NewAddress): void {
    this.#act("NEWADDR", { payload: encodeAddress(address), flags: REPLACE, detail: address.address });
  }

  /** @throws {ErrnoError} EADDRNOTAVAIL: the link has no such address. */
  deleteAddress(address: NewAddress): void {
    this.#act("DELADDR", { payload: encodeAddress(address), detail: address.address });
  }

  /** Routes of all tables. */
  routes(filter: ListFilter = {}): Route[] {
    const answers = this.#dump({ name: "RTM_GETROUTE", type: RTM.GETROUTE, payload: encodeRouteFilter(filter) });
    return answers.flatMap((bytes) => decodeRoute(bytes) ?? []).filter(ofLink(filter));
  }

  /** @throws {ErrnoError} EEXIST: the route is there; ENETUNREACH: its gateway cannot be reached. */
  addRoute(route: NewRoute): void {
    this.#act("NEWROUTE", { payload: encodeRoute(route), flags: CREATE, detail: describeRoute(route) });
  }

  /** Adds a route, in place of one with the same destination and priority. */
  replaceRoute(route: NewRoute): void {
    this.#act("NEWROUTE", { payload: encodeRoute(route), flags: REPLACE, detail: describeRoute(route) });
  }

  /** Deletes the first route that has all that is given. @throws {ErrnoError} ESRCH: there is none. */
  deleteRoute(route: NewRoute): void {
    this.#act("DELROUTE", { payload: encodeRoute(route), detail: describeRoute(route) });
  }

  /** Rules of one family that choose a table; none where the kernel has none of that family. */
  rules(family: Family): Rule[] {
    const request = { name: "RTM_GETRULE", type: RTM.GETRULE, payload: encodeRuleFilter(family) };
    try {
      return this.#dump(request).flatMap((bytes) => decodeRule(bytes) ?? []).filter((rule) => rule.family === family);
    } catch (error) {
      if (isErrno(error, "EOPNOTSUPP", "EAFNOSUPPORT")) return [];
      throw error;
    }
  }

  /**
   * Makes a rule out of what another kernel has told of it.
   *
   * @throws {ErrnoError} EEXIST: there is such a rule.
   * @throws {RangeError} The message is none.
   */
  addRule(message: Uint8Array): void {
    this.#act("NEWRULE", { payload: verifyRule(message), flags: CREATE, detail: "rule" });
  }

  /** Deletes a rule that has all that is given. @throws {ErrnoError} ENOENT: there is none. */
  deleteRule(message: Uint8Array): void {
    this.#act("DELRULE", { payload: verifyRule(message), detail: "rule" });
  }

  /** Neighbour entries of all links, or of one. */
  neighbors(filter: ListFilter = {}): Neighbor[] {
    const answers = this.#dump({ name: "RTM_GETNEIGH", type: RTM.GETNEIGH, payload: encodeNeighborFilter(filter) });
    return answers.flatMap((bytes) => decodeNeighbor(bytes) ?? []).filter(ofLink(filter));
  }

  /** Adds an entry or overwrites one. */
  replaceNeighbor(neighbor: NewNeighbor): void {
    this.#act("NEWNEIGH", { payload: encodeNeighbor(neighbor), flags: REPLACE, detail: neighbor.address });
  }

  /** @throws {ErrnoError} ENOENT: there is no such entry. */
  deleteNeighbor(neighbor: NewNeighbor): void {
    this.#act("DELNEIGH", { payload: encodeNeighbor(neighbor), detail: neighbor.address });
  }

  #act(name: keyof typeof RTM, request: Pick<NetlinkRequest, "payload" | "flags" | "detail">): void {
    this.#socket.request({ ...request, name: `RTM_${name}`, type: RTM[name] });
  }

  #dump(request: NetlinkRequest): Uint8Array[] {
    return this.#socket.dump(request).map(({ payload }) => payload);
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }
}

function ofLink({ link }: ListFilter): (object: { link: number | undefined }) => boolean {
  return (object) => link === undefined || object.link === link;
}

function describeRoute({ destination = "default", gateway, link }: NewRoute): string {
  const via = gateway === undefined ? "" : ` via ${gateway}`;
  return `${destination}${via}${link === undefined ? "" : ` by link ${link}`}`;
}
