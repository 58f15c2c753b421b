/** Holds what the READMEs say against what is there. */
import assert from "node:assert/strict";
import { tables } from "./interop/posix/expected.ts";
import { CASES } from "./interop/posix/program.ts";
import { exists } from "../src/base/files.ts";

const root = new URL("../", import.meta.url);

/** Packages read these, or they are made for a moment; nobody sets them. */
const INNER_VARIABLES = ["KATA_READY_FD", "KATA_APT_UPDATED", "KATA_BOOT_MS"];

function read(file: string): string {
  return Deno.readTextFileSync(new URL(file, root));
}

function* files(folder: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(new URL(folder, root))) {
    if (isDirectory) yield* files(`${folder}/${name}`);
    else yield `${folder}/${name}`;
  }
}

const sources = ["src", "tests", "scripts"].flatMap((folder) => [...files(folder)])
  .filter((file) => /\.(?:ts|js|sh)$|scripts\/[a-z-]+$/.test(file) && !file.endsWith("_pb.ts"));

Deno.test("tests/README.md: says of each behaviour whether a test names it", () => {
  const named = new Set(
    sources.filter((file) => file.endsWith("_test.ts")).flatMap((file) =>
      read(file).match(/(?<!\bpods )\bB\d+\b/g) ?? []
    ),
  );
  const rows = [...read("tests/README.md").matchAll(/^\| (B\d+) +\|.*\| (yes|not yet) +\|$/gm)];
  assert.equal(rows.length, 54);
  const wrong = rows.filter(([, name, said]) => named.has(name!) !== (said === "yes")).map(([row]) => row);
  assert.deepEqual(wrong, []);
});

Deno.test("tests/README.md: lists every variable that is read", () => {
  const page = read("tests/README.md");
  const found = new Set(sources.flatMap((file) => read(file).match(/\bKATA_[A-Z_]*[A-Z]\b/g) ?? []));
  const unknown = [...found].filter((name) => !page.includes(`\`${name}\``) && !name.startsWith("KATA_AGENT_"))
    .filter((name) => !INNER_VARIABLES.includes(name) && isRead(name));
  assert.deepEqual(unknown, []);
});

function isRead(name: string): boolean {
  const ways = new RegExp(`Deno\\.env\\.(?:get|has)\\("${name}"\\)|\\$\\{${name}[:}]|\\$${name}\\b`);
  return sources.some((file) => ways.test(read(file)));
}

Deno.test("tests/README.md: lists every suite", () => {
  const suites = [...read("scripts/run_tests.ts").matchAll(/^ {2,4}\{?\s*name: "([\w-]+)"|\{ name: "([\w-]+)"/gm)].map((
    [, one, other],
  ) => one ?? other!);
  assert.ok(suites.length > 8);
  const page = read("tests/README.md");
  assert.deepEqual(suites.filter((name) => !page.includes(`\`${name}\``)), []);
});

Deno.test("tests/README.md: tells of shared files what the battery is held to", () => {
  assert.ok(read("tests/README.md").includes(tables(Object.keys(CASES))), tables(Object.keys(CASES)));
});

Deno.test("src/README.md: names one file of each folder to begin with", () => {
  const section = /\*\*Where to begin\.\*\*(.*?)\n\n\*\*/s.exec(read("src/README.md"))![1]!;
  const begins = [...section.matchAll(/`([\w/]+)\.ts`/g)].map(([, path]) => path!);
  const folders = new Set(
    sources.filter((file) => /^src\/.*(?<!_test|_bench)\.ts$/.test(file) && !file.includes("/testing/"))
      .map((file) => file.slice("src/".length, file.lastIndexOf("/"))),
  );
  // A folder may hang on a file of its own name beside it.
  const folderOf = (path: string) => folders.has(path) ? path : path.slice(0, path.lastIndexOf("/"));
  assert.deepEqual(begins.map(folderOf).sort(), [...folders].sort());
});

for (const page of ["README.md", "src/README.md", "tests/README.md", "scripts/README.md"]) {
  Deno.test(`${page}: names only files that are there`, () => {
    const words = [...read(page).matchAll(/`([\w./-]+\/[\w./-]*|[\w-]+\/[\w./-]+\.ts)`/g)].map(([, word]) => word!);
    const bases = [root, new URL("src/", root), new URL("tests/", root), new URL("scripts/", root)];
    const ours = words.filter((word) =>
      /^(?:src|tests|scripts|config|proto)\//.test(word) || /^[a-z_]+\/[\w/]+\.ts$/.test(word)
    );
    const missing = ours.filter((word) =>
      !word.includes("*") && !bases.some((base) => exists(new URL(word, base).pathname))
    );
    assert.deepEqual(missing, []);
  });
}
