import assert from "node:assert/strict";
import { environment, execCandidates } from "./calls.ts";

Deno.test.each([
  { path: "/bin/sh", search: "/a:/b", candidates: ["/bin/sh"] },
  { path: "./sh", search: "/a:/b", candidates: ["./sh"] },
  { path: "sh", search: "/a:/b", candidates: ["/a/sh", "/b/sh"] },
  { path: "sh", search: "/a::/b", candidates: ["/a/sh", "./sh", "/b/sh"] },
  { path: "sh", search: "", candidates: [] },
])("execCandidates($path, $search) are $candidates", ({ path, search, candidates }) => {
  assert.deepEqual(execCandidates(path, search), candidates);
});

Deno.test("environment() keeps values with an equals sign, and refuses such names", () => {
  assert.deepEqual(environment({ A: "b=c", EMPTY: "" }), ["A=b=c", "EMPTY="]);
  assert.throws(() => environment({ "A=B": "c" }), TypeError);
  assert.throws(() => environment({ "": "c" }), TypeError);
});
