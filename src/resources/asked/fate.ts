/**
 * Tables of what may be asked for, each with what becomes of it. `src/ASKED.md` is written from them; the tests beside
 * them hold them complete, and to what the code does.
 *
 * @module
 */

/**
 * `carried`: it holds in the guest, or on the host where that is what holds it. `refused`: the container is, by these
 * words. `meaningless`: it says nothing to a virtual machine, and why. `open`: still lost without a word.
 */
export type Fate = { carried: string } | { refused: string } | { meaningless: string } | { open: string };

/** By name. A name in which others lie stands for all of these that have no row. */
export type Fates = Readonly<Record<string, Fate>>;

/** Carried as it is. */
export const AS_IS: Fate = { carried: "as it is" };

/** The row for a dotted name: its own, or that of the nearest name around it. */
export function fateOf(fates: Fates, name: string): Fate | undefined {
  for (let at = name; at !== ""; at = at.slice(0, Math.max(0, at.lastIndexOf(".")))) {
    if (Object.hasOwn(fates, at)) return fates[at];
  }
  return undefined;
}
