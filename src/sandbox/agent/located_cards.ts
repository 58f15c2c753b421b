/** Tells the guest where the cards of its interfaces are. @module */
import type { GuestNetwork } from "../../agent_api/network.ts";
import type { Hypervisor } from "../../hypervisor/hypervisor.ts";
import type { JoinedLinks } from "../../resources/network/network.ts";

/**
 * The guest's part of joined links, with the slots of each card on the PCI bus. Kata's own agent waits for a card by them
 * alone: one that it is told by the hardware address must be there already.
 */
export function locatedCards(
  { cards, guest }: Pick<JoinedLinks, "cards" | "guest">,
  vm: Pick<Hypervisor, "guestAddress">,
): GuestNetwork {
  const slots = new Map(cards.map(({ mac, id }) => {
    const address = vm.guestAddress(id);
    return [mac, address?.bus === "pci" ? address.path : undefined];
  }));
  return {
    ...guest,
    interfaces: guest.interfaces.map((each) => ({ ...each, devicePath: slots.get(each.mac ?? "") })),
  };
}
