/** Lists of CPUs or memory nodes such as `0-3,7`, as ranges: a short text may name thousands. Pure. @module */
import { KataError } from "./error.ts";
import { quoted } from "./text.ts";

/** A kernel can be built for as many CPUs. */
export const MAX_CPUS = 8192;

/** Both ends belong to it. */
export interface CpuRange {
  readonly first: number;
  readonly last: number;
}

/** Ascending, none touching another. */
export type CpuList = readonly CpuRange[];

/**
 * @param text As the kernel writes it; empty for none.
 * @throws {KataError} INVALID_ARGUMENT: no such list, or a number beyond 8191.
 */
export function parseCpuList(text: string): CpuList {
  const ranges = text.split(",").filter((part) => part.trim() !== "").map((part) => {
    const [, first, last = first] = /^\s*(\d+)(?:-(\d+))?\s*$/.exec(part) ?? [];
    const range = { first: Number(first), last: Number(last) };
    if (range.first <= range.last && range.last < MAX_CPUS) return range;
    throw new KataError("INVALID_ARGUMENT", `Cannot use ${quoted(text)} as a list of processors of 0-${MAX_CPUS - 1}`);
  });
  return merged(ranges);
}

/** Union of the lists. */
export function unite(lists: readonly CpuList[]): CpuList {
  return merged(lists.flat());
}

export function countCpus(list: CpuList): number {
  return list.reduce((count, { first, last }) => count + last - first + 1, 0);
}

/** Each number; at most {@linkcode MAX_CPUS}, as no two ranges have one in common. */
export function cpusOf(list: CpuList): number[] {
  return list.flatMap(({ first, last }) => Array.from({ length: last - first + 1 }, (_, index) => first + index));
}

export function formatCpuList(list: CpuList): string {
  return list.map(({ first, last }) => first === last ? `${first}` : `${first}-${last}`).join(",");
}

function merged(ranges: readonly CpuRange[]): CpuList {
  const list: CpuRange[] = [];
  for (const range of ranges.toSorted((a, b) => a.first - b.first)) {
    const before = list.at(-1);
    if (before === undefined || range.first > before.last + 1) list.push(range);
    else if (range.last > before.last) list[list.length - 1] = { first: before.first, last: range.last };
  }
  return list;
}
