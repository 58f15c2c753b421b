/** A link of the pod and the tap through which the VM has it. @module */
import { KataError } from "../../base/error.ts";
import type { Logger } from "../../base/log.ts";
import type { Fd } from "../../linux/io/fd.ts";
import type { NetDevice } from "../../hypervisor/device.ts";
import { enterNetns } from "../../linux/process/namespace.ts";
import type { Link, Rtnetlink } from "../../linux/net/rtnetlink.ts";
import { openTap, openVhostNet } from "../../linux/net/tap.ts";
import { crossConnect, ingressKinds, OUR_FILTER, removeIngress } from "../../linux/net/tc.ts";

/** How the link and the tap are joined: by name as the configuration has it (`internetworking_model`). */
export type NetworkModel = keyof typeof MODELS;

interface Ends {
  link: number;
  tap: number;
}

const MODELS = {
  /** Redirects all frames that arrive at one link to leave by the other. */
  tcfilter(netlink: Rtnetlink, { link, tap }: Ends): Disposable {
    // A shim that was killed left its filters, which lead nowhere.
    removeIngress(netlink, link);
    return crossConnect(netlink, { first: link, second: tap });
  },
  /** Leaves the links alone: another program joins them. */
  none: (): Disposable => new DisposableStack(),
} as const;

/**
 * Refuses a link at which filters of others look at what arrives, as a plugin may have made them: ours take their place.
 *
 * @throws {KataError} UNIMPLEMENTED, by the link's name.
 */
export function refuseFiltered(
  { index, name }: Link,
  { netlink, model }: Pick<PairOptions, "netlink" | "model">,
): void {
  if (model !== "tcfilter") return;
  // Those of a shim that was killed are as ours.
  const others = ingressKinds(netlink, index).filter((kind) => kind !== OUR_FILTER);
  if (others.length === 0) return;
  const what = `filters of others look at what arrives there (${others.join(", ")}), in whose place ours would be`;
  throw new KataError(
    "UNIMPLEMENTED",
    `Cannot join interface "${name}" to the VM: ${what}; make them at its other end`,
  );
}

export interface PairOptions {
  netns: Fd;
  netlink: Rtnetlink;
  model: NetworkModel;
  /** Unique in the namespace, from 0. */
  number: number;
  /** Queue pairs of the card: one per vCPU that may use it. */
  queues: number;
  vhost: boolean;
  log?: Logger;
}

/** Disposing it takes the tap and the filters away, whether or not the link is still there. */
export interface Pair extends Disposable {
  /** Card for the VM, with the link's hardware address, so that the neighbours see no difference. */
  readonly card: NetDevice;
  /** Index of the tap. */
  readonly tap: number;
}

const NO_VHOST = { fds: [], obstacle: undefined };
const WITHOUT_VHOST = "Packets of a link go through the monitor, which is slower: the host has no vhost-net for it";

/** Makes a tap beside the link and joins the two. */
export function pairWithTap(link: Link, { netns, netlink, model, number, queues, vhost, log }: PairOptions): Pair {
  using undo = new DisposableStack();
  const tap = undo.use(tapWithin(netns, { name: `tap${number}_kata`, queues }));
  const { index } = netlink.link(tap.name);
  netlink.changeLink(index, { mtu: link.mtu, up: true });
  undo.use(MODELS[model](netlink, { link: link.index, tap: index }));
  const { fds: vhostFds, obstacle } = vhost ? openVhostNet(queues) : NO_VHOST;
  for (const fd of vhostFds) undo.use(fd);
  if (obstacle !== undefined) log?.info(WITHOUT_VHOST, { link: link.name, reason: obstacle.message });
  const card = { kind: "net", id: `net${number}`, mac: link.mac ?? "", tapFds: tap.fds, vhostFds } as const;
  const resources = undo.move();
  return { card, tap: index, [Symbol.dispose]: () => resources.dispose() };
}

function tapWithin(netns: Fd, { name, queues }: { name: string; queues: number }) {
  using _ = enterNetns(netns);
  return openTap(name, { queues });
}
