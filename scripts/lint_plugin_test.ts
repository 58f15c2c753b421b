import assert from "node:assert/strict";
import plugin from "./lint_plugin.ts";

function lint(file: string, source: string): string[] {
  return Deno.lint.runPlugin(plugin, file, source).map(({ id }) => id);
}

Deno.test.each([
  { file: "/r/src/shim/a.ts", source: 'Deno.dlopen("x", {});', ids: ["kata/ffi-in-linux"] },
  { file: "/r/src/linux/a.ts", source: 'Deno.dlopen("x", {});', ids: [] },
  { file: "/r/src/shim/a.ts", source: 'new Deno.Command("x");', ids: ["kata/spawn-in-linux"] },
  { file: "/r/src/shim/a_test.ts", source: 'new Deno.Command("x");', ids: [] },
  { file: "/r/src/a.ts", source: "class A { private x = 1; }", ids: ["kata/private-fields"] },
  { file: "/r/src/a.ts", source: "export const f = () => 1;", ids: ["kata/top-level-functions"] },
  { file: "/r/src/a.ts", source: "function f() { const g = () => 1; return g; }", ids: [] },
  { file: "/r/src/a.ts", source: 'throw new Error("Cannot do it.");', ids: ["kata/error-messages"] },
  { file: "/r/src/a.ts", source: "throw new Error(`failed to open ${1}`);", ids: ["kata/error-messages"] },
  { file: "/r/src/a.ts", source: "throw new Error(`Cannot open ${1}`, { cause: 2 });", ids: [] },
  { file: "/r/src/a.ts", source: "/** What it is. */\nlet a = 1;", ids: ["kata/comment-openings"] },
  { file: "/r/src/a.ts", source: "/**\n * Those of one directory.\n */\nlet a = 1;", ids: ["kata/comment-openings"] },
  { file: "/r/tests/oci/a_test.ts", source: "/** Its row. */\nlet a = 1;", ids: ["kata/comment-openings"] },
  { file: "/r/scripts/a.ts", source: "/** Its row. */\nlet a = 1;", ids: ["kata/comment-openings"] },
  { file: "/r/src/a.ts", source: "/** Whatsoever is a noun here. */\nlet a = 1;", ids: [] },
])("lint plugin: $source in $file gives $ids", ({ file, source, ids }) => assert.deepEqual(lint(file, source), ids));
