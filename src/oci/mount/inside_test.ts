import assert from "node:assert/strict";
import fc from "fast-check";
import { resolveInside } from "./inside.ts";

/** A root file system as a table of links. */
const LINKS: Record<string, string> = {
  "/r/var/run": "/run",
  "/r/up": "../../../../etc",
  "/r/here": "./tmp/../tmp",
  "/r/a": "b",
  "/r/b": "a",
  "/r/etc/resolv.conf": "../run/resolv.conf",
  "/r/slash": "/",
};

function readLink(path: string): string | undefined {
  return LINKS[path];
}

Deno.test.each([
  { path: "/data", expected: "/data" },
  { path: "var/run/x", expected: "/run/x" },
  { path: "/up/passwd", expected: "/etc/passwd" },
  { path: "/here/x", expected: "/tmp/x" },
  { path: "/etc/resolv.conf", expected: "/run/resolv.conf" },
  { path: "/../../..", expected: "/" },
  { path: "/slash/../x/.", expected: "/x" },
  { path: "", expected: "/" },
])("B5: resolveInside($path) is $expected", ({ path, expected }) => {
  assert.equal(resolveInside("/r", path, { readLink }), expected);
});

Deno.test("resolveInside() ends on links that go round", () => {
  assert.throws(() => resolveInside("/r", "/a/x", { readLink }), /more than 40 links/);
});

Deno.test("resolveInside() does not follow what an earlier mount hides", () => {
  assert.equal(resolveInside("/r", "/var/run/x", { readLink, covered: ["/var"] }), "/var/run/x");
  assert.equal(resolveInside("/r", "/var/run/x", { readLink, covered: ["/va"] }), "/run/x");
});

Deno.test("B5: resolveInside() never leaves the root, whatever the links are", () => {
  const part = fc.constantFrom("..", ".", "a", "b", "c", "");
  const path = fc.array(part, { maxLength: 8 }).map((parts) => parts.join("/"));
  const target = fc.tuple(fc.boolean(), path).map(([absolute, rest]) => absolute ? `/${rest}` : rest);
  const links = fc.dictionary(fc.constantFrom("/r/a", "/r/b", "/r/a/b", "/r/b/c"), target);
  fc.assert(fc.property(links, path, (table, asked) => {
    try {
      const resolved = resolveInside("/r", asked, { readLink: (link) => table[link] });
      assert.match(resolved, /^\/([abc](\/[abc])*)?$/);
    } catch (error) {
      assert.ok(error instanceof RangeError);
    }
  }));
});
