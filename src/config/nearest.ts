/** Finds the word that a misspelt one may stand for. Pure. @module */

/** Longer words are no slips, and comparing them takes the product of both lengths. */
const MOST_LETTERS = 100;

/**
 * The candidate with the fewest letters to change: none if that is more than a third of the word. Of dotted names, one
 * with the same last part counts as near: somebody looked for it in another table.
 */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length > MOST_LETTERS) return undefined;
  let [best, least]: [string | undefined, number] = [undefined, Math.max(2, Math.floor(lastPart(word).length / 3)) + 1];
  for (const candidate of candidates) {
    const isElsewhere = word.includes(".") && candidate.includes(".") && lastPart(candidate) === lastPart(word);
    // A slip of one letter is likelier than another table, and that than a slip of two.
    const changes = Math.min(countChanges(word, candidate), isElsewhere ? 1.5 : Infinity);
    if (changes < least) [best, least] = [candidate, changes];
  }
  return best;
}

/** Of a dotted name. */
export function lastPart(name: string): string {
  return name.slice(name.lastIndexOf(".") + 1);
}

/** Letters to add, to remove, to replace or to exchange with the next one. */
function countChanges(from: string, to: string): number {
  let before: number[] = [];
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1);
      const isSwap = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1, isSwap ? before[j - 2]! + 1 : Infinity));
    }
    [before, row] = [row, next];
  }
  return row[to.length]!;
}
