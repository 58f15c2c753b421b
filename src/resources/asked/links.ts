/** Links of a pod's network namespace: their kinds, and their attributes by the kernel's names. @module */
import { AS_IS, type Fate, type Fates } from "./fate.ts";

const STATE: Fate = { meaningless: "it tells a state, which is the guest's own" };
const QUERY: Fate = { meaningless: "it belongs to a question, or to an order, about links" };
const UNUSED: Fate = { meaningless: "the kernel does not use it" };
const QUEUES: Fate = { meaningless: "queues are the card's: one for each vCPU, up to the limit" };
const OFFLOAD: Fate = { meaningless: "how large packets are within a kernel, which is the guest's own matter" };
const HARDWARE: Fate = { meaningless: "of hardware, which is refused by its kind" };
const ON_HOST: Fate = { carried: "it stays on the host's side of the link, through which all goes" };

/** Kinds by `IFLA_INFO_KIND`, that are up or have an address. */
export const LINK_KIND_FATES: Fates = {
  "loopback": { carried: "the guest's own; further addresses are refused" },
  "a link that is down and has no address (tunl0, sit0, gre0, …)": { meaningless: "nothing goes through it" },
  "veth": { carried: "joined to a tap of the VM" },
  "macvlan": { carried: "joined to a tap of the VM" },
  "tun": { carried: "a tap is joined; without Ethernet frames it is refused" },
  ...Object.fromEntries(
    [
      ..."physical amt bareudp bond bridge dsa dummy erspan geneve gre gretap gtp hsr ifb ip6erspan ip6gre".split(" "),
      ..."ip6gretap ip6tnl ipip ipoib ipvlan ipvtap macsec macvtap netdevsim netkit nlmon pfcp rmnet sit".split(" "),
      ..."team vcan virt_wifi vrf vti vti6 vlan vxcan vxlan wireguard wwan xfrm can lowpan batadv".split(" "),
    ].map((kind) => [kind, { refused: `its kind is ${kind}` }] as const),
  ),
};

/** `IFLA_*`. */
export const LINK_FATES: Fates = {
  UNSPEC: UNUSED,
  ADDRESS: AS_IS,
  BROADCAST: { meaningless: "of Ethernet it is always the same" },
  IFNAME: AS_IS,
  MTU: AS_IS,
  LINK: { meaningless: "the other end is on the host" },
  QDISC: { carried: "it stays on the host's side; filters of what arrives (clsact, ingress) are refused" },
  STATS: STATE,
  COST: UNUSED,
  PRIORITY: UNUSED,
  MASTER: { refused: "is a port of link 7" },
  WIRELESS: HARDWARE,
  PROTINFO: { meaningless: "of ports of bridges, which are refused" },
  TXQLEN: { meaningless: "packets wait in the guest's own queues" },
  MAP: HARDWARE,
  WEIGHT: UNUSED,
  OPERSTATE: STATE,
  LINKMODE: STATE,
  LINKINFO: { carried: "the kind" },
  NET_NS_PID: QUERY,
  IFALIAS: { meaningless: "words for people" },
  NUM_VF: HARDWARE,
  VFINFO_LIST: HARDWARE,
  STATS64: STATE,
  VF_PORTS: HARDWARE,
  PORT_SELF: HARDWARE,
  AF_SPEC: { open: "settings of the namespace and of its links (net.*) that a plugin has made; the guest has its own" },
  GROUP: { refused: "is of group 3" },
  NET_NS_FD: QUERY,
  EXT_MASK: QUERY,
  PROMISCUITY: STATE,
  NUM_TX_QUEUES: QUEUES,
  NUM_RX_QUEUES: QUEUES,
  CARRIER: STATE,
  PHYS_PORT_ID: HARDWARE,
  CARRIER_CHANGES: STATE,
  PHYS_SWITCH_ID: HARDWARE,
  LINK_NETNSID: { meaningless: "the other end is on the host" },
  PHYS_PORT_NAME: HARDWARE,
  PROTO_DOWN: STATE,
  GSO_MAX_SEGS: OFFLOAD,
  GSO_MAX_SIZE: OFFLOAD,
  PAD: UNUSED,
  XDP: ON_HOST,
  EVENT: STATE,
  NEW_NETNSID: QUERY,
  IF_NETNSID: QUERY,
  TARGET_NETNSID: QUERY,
  CARRIER_UP_COUNT: STATE,
  CARRIER_DOWN_COUNT: STATE,
  NEW_IFINDEX: QUERY,
  MIN_MTU: STATE,
  MAX_MTU: STATE,
  PROP_LIST: { refused: 'has the other name "uplink"' },
  ALT_IFNAME: { refused: 'has the other name "uplink"' },
  PERM_ADDRESS: HARDWARE,
  PROTO_DOWN_REASON: STATE,
  PARENT_DEV_NAME: HARDWARE,
  PARENT_DEV_BUS_NAME: HARDWARE,
  GRO_MAX_SIZE: OFFLOAD,
  TSO_MAX_SIZE: OFFLOAD,
  TSO_MAX_SEGS: OFFLOAD,
  ALLMULTI: STATE,
  DEVLINK_PORT: HARDWARE,
  GSO_IPV4_MAX_SIZE: OFFLOAD,
  GRO_IPV4_MAX_SIZE: OFFLOAD,
  DPLL_PIN: HARDWARE,
  MAX_PACING_OFFLOAD_HORIZON: OFFLOAD,
  NETNS_IMMUTABLE: STATE,
  HEADROOM: STATE,
  TAILROOM: STATE,
};
