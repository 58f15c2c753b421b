/** Network interfaces by the card that they are of. @module */
import { namesIn } from "./address.ts";
import { pciDevice } from "./pci.ts";

const VIRTIO = /^virtio\d+$/;

/**
 * The name of the interface of a card.
 *
 * @param path As {@linkcode pciDevice} takes it. @param sys `/sys`, or a directory like it.
 * @returns undefined as long as there is none.
 */
export function netAtPciPath(path: string, sys: string): string | undefined {
  const card = pciDevice(path, sys);
  if (card === undefined) return undefined;
  // Of a virtio card it is the virtio device that has the interface.
  const holders = [card, ...namesIn(card).filter((name) => VIRTIO.test(name)).map((name) => `${card}/${name}`)];
  return holders.flatMap((holder) => namesIn(`${holder}/net`)).at(0);
}
