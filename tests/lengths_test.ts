/** Keeps files and functions short enough to be read at once. `layers_test.ts` counts the files of a folder. */
import assert from "node:assert/strict";
import { isTestSupport, ROOT, sources } from "./house.ts";

/** Of 100 product files this many have no more lines than {@linkcode USUAL_LINES}, and none has more than {@linkcode MOST_LINES}. */
const USUAL_PERCENT = 90;
const USUAL_LINES = 250;
const MOST_LINES = 300;
const MOST_FUNCTION_LINES = 60;

/** A part of a file, by how many lines it has. */
interface Length {
  what: string;
  lines: number;
}

function read(file: string): string {
  return Deno.readTextFileSync(new URL(file, ROOT));
}

function countLines(text: string): number {
  return text.replace(/\n$/, "").split("\n").length;
}

type FunctionNode =
  | Deno.lint.FunctionDeclaration
  | Deno.lint.FunctionExpression
  | Deno.lint.ArrowFunctionExpression;

function nameOf(node: FunctionNode): string {
  if (node.type !== "ArrowFunctionExpression" && node.id) return node.id.name;
  const { parent } = node;
  if (parent.type !== "MethodDefinition" && parent.type !== "PropertyDefinition") return "a function";
  return "name" in parent.key ? String(parent.key.name) : "a member";
}

/** Every function of a file: those of classes and those within others too. */
function functionsOf(file: string, text: string): Length[] {
  const found: Length[] = [];
  const note = (node: FunctionNode): void => {
    const lines = countLines(text.slice(...node.range));
    found.push({ what: `${file}: ${nameOf(node)}`, lines });
  };
  const create = () => ({ FunctionDeclaration: note, FunctionExpression: note, ArrowFunctionExpression: note });
  // The visitor of a lint rule is the parser that Deno has at hand.
  Deno.lint.runPlugin({ name: "lengths", rules: { lengths: { create } } }, file, text);
  return found;
}

function longerThan(most: number, lengths: readonly Length[]): string[] {
  return lengths.filter(({ lines }) => lines > most).map(({ what, lines }) => `${what} has ${lines} lines`);
}

/** @returns How many lines the file has that is as long as so many per cent of them at the most. */
function percentile(percent: number, lengths: readonly Length[]): number {
  const sorted = lengths.map(({ lines }) => lines).sort((a, b) => a - b);
  return sorted[Math.ceil((sorted.length * percent) / 100) - 1]!;
}

/** Files that somebody wrote: generated ones are left out. */
const everything = ["src", "scripts"].flatMap((folder) => [...sources(folder)]).filter((file) =>
  !file.endsWith("_pb.ts")
);
const product = everything.filter((file) => file.startsWith("src/") && !isTestSupport(file))
  .map((file) => ({ what: file, lines: countLines(read(file)) }));

Deno.test(`lengths: ${USUAL_PERCENT} of 100 product files have at most ${USUAL_LINES} lines`, () => {
  const lines = percentile(USUAL_PERCENT, product);
  assert.ok(lines <= USUAL_LINES, `too many are long, such as one of ${lines} lines`);
});

Deno.test(`lengths: no product file has more than ${MOST_LINES} lines`, () => {
  assert.deepEqual(longerThan(MOST_LINES, product), []);
});

Deno.test(`lengths: no function of src and scripts has more than ${MOST_FUNCTION_LINES} lines`, () => {
  const functions = everything.flatMap((file) => functionsOf(file, read(file)));
  assert.ok(functions.length > everything.length, "the search found next to none");
  assert.deepEqual(longerThan(MOST_FUNCTION_LINES, functions), []);
});

Deno.test("lengths: what is too long is found, by its name", () => {
  const body = "\n  f();".repeat(3);
  const text = [
    `export async function one() {${body}\n}`,
    `class A {\n  #two(b = {}) {${body}\n  }\n  three = () => {${body}\n  };\n}`,
    `const four = [() => {${body}\n}];`,
    "function short() {}",
  ].join("\n");
  assert.deepEqual(longerThan(4, functionsOf("src/a.ts", text)), [
    "src/a.ts: one has 5 lines",
    "src/a.ts: two has 5 lines",
    "src/a.ts: three has 5 lines",
    "src/a.ts: a function has 5 lines",
  ]);
  const files = [1, 2, 3, 4, 5, 6, 7, 8, 9, 99].map((lines) => ({ what: `${lines}.ts`, lines }));
  assert.equal(percentile(90, files), 9);
  assert.equal(percentile(91, files), 99);
});
