/**
 * Bounds the lines of one kind in a log: somebody outside may be able to cause one as often as he likes, and a log
 * fills a disk, or the memory of its reader. Pure.
 *
 * @module
 */

const WINDOW_MS = 10_000;
/** Messages are constants or nearly so; what is beyond so many shares one kind. */
const MOST_KINDS = 256;
const OTHERS = "others";

interface Kind {
  /** When its present window began, in milliseconds. */
  since: number;
  lines: number;
  leftOut: number;
}

export interface Moment {
  /** Milliseconds of a clock that may jump. */
  now: number;
  /** Lines of the kind in ten seconds. */
  most: number;
}

export class LogRate {
  readonly #kinds = new Map<string, Kind>();
  /** Kinds that have left out something that nobody was told of. */
  #untold = 0;

  /** @returns How many lines of its kind were left out before this one; undefined if this one is left out as well. */
  admit(name: string, { now, most }: Moment): number | undefined {
    const kind = this.#find(name, now);
    if (isOver(kind, now)) {
      const { leftOut } = kind;
      if (leftOut > 0) this.#untold--;
      Object.assign(kind, { since: now, lines: 1, leftOut: 0 });
      return leftOut;
    }
    if (kind.lines < most) {
      kind.lines++;
      return 0;
    }
    if (kind.leftOut++ === 0) this.#untold++;
    return undefined;
  }

  /** The kinds that have been silent since they left out lines, each told once. */
  takeSilent(now: number): { kind: string; lines: number }[] {
    if (this.#untold === 0) return [];
    return [...this.#kinds].filter(([, kind]) => kind.leftOut > 0 && isOver(kind, now)).map(([name, kind]) => {
      const lines = kind.leftOut;
      kind.leftOut = 0;
      this.#untold--;
      return { kind: name, lines };
    });
  }

  #find(name: string, now: number): Kind {
    const found = this.#kinds.get(name) ?? (this.#kinds.size < MOST_KINDS ? undefined : this.#kinds.get(OTHERS));
    if (found !== undefined) return found;
    const kind = { since: now, lines: 0, leftOut: 0 };
    this.#kinds.set(this.#kinds.size < MOST_KINDS ? name : OTHERS, kind);
    return kind;
  }
}

function isOver({ since }: Kind, now: number): boolean {
  return now - since >= WINDOW_MS || now < since;
}
