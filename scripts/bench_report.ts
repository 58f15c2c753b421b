/** How all parts of the bench count and show. @module */

/** The upper one of the two in the middle; NaN of nothing. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
}

/** One figure and what it is. */
export function row(what: string, value: string): void {
  print(`  ${what.padEnd(58)} ${value}`);
}

export function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}
