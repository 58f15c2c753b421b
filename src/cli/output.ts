/** How the command line tools lay out what they print. @module */

/** Columns as wide as their widest cell, at least 12 and three spaces apart, as runc and kubectl have them. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(9, ...rows.map((row) => row[column]!.length)) + 3);
  const line = (row: readonly string[]) => row.map((cell, column) => cell.padEnd(widths[column]!)).join("").trimEnd();
  return rows.map((row) => `${line(row)}\n`).join("");
}

/** Writes all of it, as the program may exit right after. */
export function print(text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let rest = bytes; rest.length > 0;) rest = rest.subarray(Deno.stdout.writeSync(rest));
}

/** For programs. */
export function printJson(value: unknown): void {
  print(`${JSON.stringify(value, undefined, 2)}\n`);
}
