/**
 * runk beside another runtime: containers drawn at random are run on both, and what can be seen of them must be the same.
 *
 * `KATA_SEEDS=1-1000` runs other cases than those of the suite, and goes on after one that differs. A case that differs is
 * made smaller until only what matters is left of it.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { DIST } from "../house.ts";
import { COMMAND_NAMES, commands } from "./differential/commands.ts";
import { compare } from "./differential/compare.ts";
import { type Observation, observe } from "./differential/observe.ts";
import { PARTS } from "./differential/parts.ts";
import { type Command, Plan } from "./differential/plan.ts";
import { REFUSALS } from "./differential/refusals.ts";
import { Box, RUNTIME } from "./runtime.ts";
import { test, testEach } from "./suite.ts";

const OURS = `${DIST}runk`;

/** Of the suite: enough that every part is drawn twice, in half a minute on two CPUs. */
const SEEDS = [30, 74] as const;

/** One container: values by the name of their part, what is wrong with it, and what is done with it. */
interface Case {
  parts: Record<string, unknown>;
  /** A row and a variant. */
  refusal: { name: string; value: unknown } | undefined;
  commands: readonly Command[];
}

/** About one part in eight, of those that there are. */
const parts = fc.record(
  Object.fromEntries(Object.entries(PARTS).map(([name, { values }]) => [name, seldom(values)])),
).map((drawn) => Object.fromEntries(Object.entries(drawn).filter(([, value]) => value !== undefined)));

const refusals = Object.entries(REFUSALS).filter(([, { onlyOurs }]) => onlyOurs === undefined)
  .flatMap(([name, { values }]) => values.map((value) => ({ name, value })));

const cases: fc.Arbitrary<Case> = fc.record({ parts, refusal: seldom(fc.constantFrom(...refusals)), commands });

function seldom<T>(values: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  const [absent, present] = [fc.constant(undefined), values];
  return fc.oneof({ withCrossShrink: true }, { weight: 7, arbitrary: absent }, { weight: 1, arbitrary: present });
}

async function runOn(runtime: string, { parts, refusal, commands }: Case): Promise<Observation> {
  await using box = new Box({ runtime });
  const plan = new Plan(box);
  for (const [name, value] of Object.entries(parts)) PARTS[name]!.apply(plan, value);
  if (refusal !== undefined) REFUSALS[refusal.name]!.apply(plan, refusal.value);
  return await observe(plan, commands);
}

async function runOnBoth(one: Case): Promise<[Observation, Observation]> {
  const [ours, theirs] = await Promise.allSettled([runOn(OURS, one), runOn(RUNTIME, one)]);
  if (ours.status === "rejected") throw ours.reason;
  if (theirs.status === "rejected") throw theirs.reason;
  return [ours.value, theirs.value];
}

/** Parts and commands of the containers that ran. */
const tried = new Set<string>();

/** @returns What differs; nothing for two that do the same. */
async function differences(one: Case): Promise<string[]> {
  const [ours, theirs] = await runOnBoth(one);
  if (ours.isMade) {
    for (const name of [...Object.keys(one.parts), ...one.commands.map(({ name }) => name)]) tried.add(name);
  }
  // runc 1.1 runs into nil pointers now and then.
  if (theirs.errors.some((line) => line.includes("panic: "))) return [];
  const found = compare(ours.sections, theirs.sections);
  if (found.length === 0) return [];
  return [...found, ...ours.errors.map((line) => `ours: ${line}`), ...theirs.errors.map((line) => `theirs: ${line}`)];
}

/** Near seeds would begin alike otherwise. */
function spread(seed: number): number {
  return Math.imul(seed, 0x9e3779b1) | 0;
}

/** @returns What differs in the case of that seed, and the smallest case that differs, or nothing. */
async function trySeed(seed: number): Promise<string | undefined> {
  let seen: string[] = [];
  const end = Date.now() + SHRINK_LIMIT_MS;
  const property = fc.asyncProperty(cases, async (one) => {
    if (Date.now() > end) return true;
    const found = await differences(one);
    if (found.length > 0) seen = found;
    return found.length === 0;
  });
  const result = await fc.check(property, { seed: spread(seed), numRuns: 1 });
  if (!result.failed) return undefined;
  if (seen.length === 0) seen = [String(result.errorInstance)];
  return `seed ${seed}: ${JSON.stringify(result.counterexample?.[0], undefined, 1)}\n${seen.join("\n")}`;
}

const SHRINK_LIMIT_MS = 20_000;

function seeds(): readonly number[] {
  const [from, to] = Deno.env.get("KATA_SEEDS")?.split("-").map(Number) ?? SEEDS;
  return Array.from({ length: to! - from! + 1 }, (_, index) => from! + index);
}

test("differential: containers drawn at random look the same on both runtimes", async () => {
  const found: string[] = [];
  for (const seed of seeds()) {
    const text = await trySeed(seed);
    if (text === undefined) continue;
    if (Deno.env.has("KATA_SEEDS")) Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n\n`));
    found.push(text);
  }
  assert.equal(found.join("\n\n"), "");
  if (Deno.env.has("KATA_SEEDS")) return;
  const untried = [...Object.keys(PARTS), ...COMMAND_NAMES].filter((name) => !tried.has(name));
  assert.deepEqual(untried, [], "the seeds draw every part and command");
});

testEach(Object.entries(REFUSALS).map(([name, { onlyOurs }]) => ({ name, by: onlyOurs ? "ours only" : "both" })))(
  "differential: $name is refused by $by, and nothing is left",
  async ({ name }) => {
    const { values, onlyOurs } = REFUSALS[name]!;
    for (const value of values) {
      const one = { parts: {}, refusal: { name, value }, commands: [] };
      const [ours, theirs] = onlyOurs === undefined ? await runOnBoth(one) : [await runOn(OURS, one), undefined];
      const message = JSON.stringify(value);
      assert.deepEqual([ours.isMade, ours.left], [false, ""], message);
      if (theirs !== undefined) assert.deepEqual(compare(ours.sections, theirs.sections), [], message);
    }
  },
);
