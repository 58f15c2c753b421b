/** Attributes of a pod's network namespace, by the kernel's names for them. @module */
import { AS_IS, type Fate, type Fates } from "./fate.ts";
import { LINK_FATES } from "./links.ts";

const STATE: Fate = { meaningless: "it tells a state, which is the guest's own" };
const QUERY: Fate = { meaningless: "it belongs to a question about a route" };
const UNUSED: Fate = { meaningless: "the kernel does not use it" };

/** `RTN_*`. */
export const ROUTE_TYPE_FATES: Fates = {
  UNSPEC: UNUSED,
  UNICAST: AS_IS,
  LOCAL: { refused: "inet route to 10.5.0.0/16 of type 2" },
  BROADCAST: { refused: "inet route to 10.5.0.0/16 of type 3" },
  ANYCAST: { refused: "inet route to 10.5.0.0/16 of type 4" },
  MULTICAST: { refused: "inet route to 10.5.0.0/16 of type 5" },
  BLACKHOLE: AS_IS,
  UNREACHABLE: AS_IS,
  PROHIBIT: AS_IS,
  THROW: AS_IS,
  NAT: UNUSED,
  XRESOLVE: UNUSED,
};

/** `RTA_*`. */
export const ROUTE_FATES: Fates = {
  UNSPEC: UNUSED,
  DST: AS_IS,
  SRC: AS_IS,
  IIF: QUERY,
  OIF: { carried: "by the link's name; a link that is not the guest's is refused" },
  GATEWAY: AS_IS,
  PRIORITY: AS_IS,
  PREFSRC: AS_IS,
  METRICS: AS_IS,
  MULTIPATH: { carried: "a route for each way; attributes of one way are refused" },
  PROTOINFO: UNUSED,
  FLOW: AS_IS,
  CACHEINFO: { carried: "the lifetime of it; the rest is a state" },
  SESSION: UNUSED,
  MP_ALGO: UNUSED,
  TABLE: AS_IS,
  MARK: QUERY,
  MFC_STATS: STATE,
  VIA: AS_IS,
  NEWDST: { meaningless: "of MPLS, whose routes are not IP's" },
  PREF: AS_IS,
  ENCAP_TYPE: AS_IS,
  ENCAP: AS_IS,
  EXPIRES: AS_IS,
  PAD: UNUSED,
  UID: QUERY,
  TTL_PROPAGATE: AS_IS,
  IP_PROTO: QUERY,
  SPORT: QUERY,
  DPORT: QUERY,
  NH_ID: { meaningless: "the kernel tells the ways that it stands for as well" },
  FLOWLABEL: AS_IS,
};

/** `FRA_*`: a rule is passed on whole. */
export const RULE_FATES: Fates = Object.fromEntries(
  [
    ..."DST SRC IIFNAME GOTO PRIORITY FWMARK FLOW TUN_ID SUPPRESS_IFGROUP SUPPRESS_PREFIXLEN TABLE FWMASK".split(" "),
    ..."OIFNAME L3MDEV UID_RANGE PROTOCOL IP_PROTO SPORT_RANGE DPORT_RANGE DSCP FLOWLABEL FLOWLABEL_MASK".split(" "),
    ..."SPORT_MASK DPORT_MASK DSCP_MASK".split(" "),
  ].map((name) => [name, AS_IS] as const).concat(
    "UNSPEC UNUSED2 UNUSED3 UNUSED4 UNUSED5 PAD".split(" ").map((name) => [name, UNUSED] as const),
  ),
);

/** `IFA_*`. */
export const ADDRESS_FATES: Fates = {
  UNSPEC: UNUSED,
  ADDRESS: AS_IS,
  LOCAL: AS_IS,
  LABEL: AS_IS,
  BROADCAST: AS_IS,
  ANYCAST: STATE,
  CACHEINFO: { carried: "addresses that end on the host end in the guest, as its network is followed" },
  MULTICAST: STATE,
  FLAGS: { carried: "noprefixroute; the others tell a state, or how to look for duplicates, which is not done" },
  RT_PRIORITY: AS_IS,
  TARGET_NETNSID: QUERY,
  PROTO: { meaningless: "who has set the address, which is the agent there" },
};

/** `NDA_*`, of ARP and neighbour discovery. */
export const NEIGHBOR_FATES: Fates = Object.fromEntries(
  [
    ["UNSPEC", UNUSED],
    ["DST", AS_IS],
    ["LLADDR", AS_IS],
    ["CACHEINFO", STATE],
    ["PROBES", STATE],
    ["PROTOCOL", { meaningless: "who has set the entry, which is the agent there" }],
    ["FLAGS_EXT", STATE],
    ["NDM_STATE_MASK", QUERY],
    ["NDM_FLAGS_MASK", QUERY],
    ...["VLAN", "PORT", "VNI", "IFINDEX", "MASTER", "LINK_NETNSID", "SRC_VNI", "NH_ID", "FDB_EXT_ATTRS"].map((name) =>
      [name, { meaningless: "of bridges and tunnels, which are not joined" }] as const
    ),
  ] satisfies (readonly [string, Fate])[],
);

/** Tables by the prefix of the kernel's names, with the header that has them. */
export const NETWORK_FATES = {
  IFLA_: { header: "if_link.h", title: "Attributes of links", fates: LINK_FATES },
  RTN_: { header: "rtnetlink.h", title: "Types of routes", fates: ROUTE_TYPE_FATES },
  RTA_: { header: "rtnetlink.h", title: "Attributes of routes", fates: ROUTE_FATES },
  FRA_: { header: "fib_rules.h", title: "Attributes of rules", fates: RULE_FATES },
  IFA_: { header: "if_addr.h", title: "Attributes of addresses", fates: ADDRESS_FATES },
  NDA_: { header: "neighbour.h", title: "Attributes of neighbours", fates: NEIGHBOR_FATES },
} as const;
