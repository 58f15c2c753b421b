import assert from "node:assert/strict";
import fc from "fast-check";
import { parse, stringify } from "smol-toml";
import { locate } from "./locate.ts";
import { isTable, type Table } from "./table.ts";

const TEXT = `# [no.table]
title = "a # b = [c]" # no = comment
'quoted key'."x.y" = 1
  [ a . b ] # the table
key='no = key'
list = [ "]", # [x]
  { in = 1, more = { deep = [2, 3] } }, ]
long = """
[no.table] \\""" no = 1
two quotes at its end"""""
raw = '''
no = 1
'''
after.dots = 1979-05-27 07:32:00
[[a.many]]
one = 1
[a.many.below]
two = 2
`;

Deno.test.each([
  { path: "title", line: 2, column: 1 },
  { path: "quoted key|x.y", line: 3, column: 1 },
  { path: "a|b", line: 4, column: 5 },
  { path: "a|b|key", line: 5, column: 1 },
  { path: "a|b|list", line: 6, column: 1 },
  { path: "a|b|list|in", line: 7, column: 5 },
  { path: "a|b|list|more|deep", line: 7, column: 22 },
  { path: "a|b|long", line: 8, column: 1 },
  { path: "a|b|raw", line: 11, column: 1 },
  { path: "a|b|after", line: 14, column: 1 },
  { path: "a|b|after|dots", line: 14, column: 1 },
  { path: "a|many", line: 15, column: 3 },
  { path: "a|many|one", line: 16, column: 1 },
  { path: "a|many|below|two", line: 18, column: 1 },
])("locate() finds $path at $line:$column", ({ path, line, column }) => {
  assert.deepEqual(locate(TEXT, path.split("|")), { line, column });
});

Deno.test.each(["no", "no.table", "a|b|no", "a|b|x", "two"])("locate() finds no %s", (path) => {
  assert.equal(locate(TEXT, path.split("|")), undefined);
});

Deno.test("locate() finds each key of any tables, on a line that holds its name", () => {
  const names = fc.oneof(fc.constantFrom("a", "b-c", "d_e"), fc.string({ minLength: 1, maxLength: 5 }));
  const values = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.array(fc.string(), { maxLength: 3 }));
  const { table } = fc.letrec<{ table: Table; node: unknown }>((tie) => ({
    table: fc.dictionary(names, tie("node"), { maxKeys: 4, noNullPrototype: true }),
    node: fc.oneof({ maxDepth: 3 }, values, tie("table")),
  }));
  fc.assert(fc.property(table, (tables) => {
    const text = stringify(tables);
    const lines = text.split("\n");
    for (const path of pathsOf(parse(text))) {
      const place = locate(text, path);
      const name = path.at(-1)!;
      assert.ok(place !== undefined, `no ${JSON.stringify(path)} in ${text}`);
      const line = lines[place.line - 1]!.slice(place.column - 1);
      assert.ok(line.includes(/^[\w-]+$/.test(name) ? name : JSON.stringify(name).slice(1, 3)), `${name}: ${line}`);
    }
  }));
});

Deno.test("locate() ends on any text", () => {
  fc.assert(fc.property(fc.string({ unit: fc.constantFrom(..."[]{}=.,\"'#\n ab\\") }), (text) => {
    locate(text, ["none"]);
  }));
});

function pathsOf(table: Table): string[][] {
  return Object.entries(table).flatMap(([name, value]) =>
    isTable(value) ? pathsOf(value).map((path) => [name, ...path]) : [[name]]
  );
}
