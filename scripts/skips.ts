/** Why tests were skipped: those that a report names, joined with what `src/base/testing/left_out.ts` was told. Pure. @module */
import type { Told } from "../src/base/testing/left_out.ts";

/** A test as a JUnit report names it. */
export interface Skipped {
  name: string;
  /** Path such as `./tests/oci/cli_test.ts`. */
  file: string;
}

/** Number of tests by reason. */
export type Reasons = Map<string, number>;

const ENTITIES: Record<string, string> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };

/** The skipped tests of a JUnit report of `deno test`, steps among them, whose names are `TEST > STEP`. */
export function readSkipped(report: string): Skipped[] {
  const cases = report.matchAll(/<testcase name="([^"]*)" classname="([^"]*)"[^>]*>\s*<skipped\b/g);
  return [...cases].map(([, name = "", file = ""]) => ({ name: unescape(name), file: unescape(file) }));
}

function unescape(text: string): string {
  return text.replaceAll(/&(\w+);/g, (all, name: string) => ENTITIES[name] ?? all)
    .replaceAll(/&#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code)));
}

/**
 * Counts the skipped tests by reason: that of the test itself, or else those of its file.
 *
 * @returns The counts, and the tests without any reason.
 */
export function explain(skipped: readonly Skipped[], told: readonly Told[]): { reasons: Reasons; untold: Skipped[] } {
  const reasons: Reasons = new Map();
  const untold: Skipped[] = [];
  for (const test of skipped) {
    const own = told.filter(({ of }) => of === test.name);
    const found = own.length > 0 ? own : told.filter(({ of }) => of === test.file);
    const why = [...new Set(found.map((one) => one.why))].join("; or ");
    if (why === "") untold.push(test);
    else reasons.set(why, (reasons.get(why) ?? 0) + 1);
  }
  return { reasons, untold };
}

/** A line for each reason, the commonest first. */
export function formatReasons(reasons: Reasons): string[] {
  const sorted = [...reasons].sort(([, a], [, b]) => b - a);
  return sorted.map(([why, count]) => `${String(count).padStart(5)} skipped: ${why}`);
}
