import assert from "node:assert/strict";
import fc from "fast-check";
import { type Family, gauge, items, parseFamilies, renderFamilies, single, table } from "./prometheus.ts";

Deno.test("renderFamilies() writes HELP, TYPE and samples with labels, and leaves out what has none", () => {
  const text = renderFamilies([
    single("a_total", "All", 3),
    items("b", "Some", { x: 1, y: Infinity }),
    table({ name: "c", help: "Rows", row: "disk" }, { vda: { reads: 7 } }),
    gauge("d", "Nothing", []),
  ]);
  const lines = [
    "# HELP a_total All",
    "# TYPE a_total gauge",
    "a_total 3",
    "# HELP b Some",
    "# TYPE b gauge",
    'b{item="x"} 1',
    'b{item="y"} Inf',
    "# HELP c Rows",
    "# TYPE c gauge",
    'c{disk="vda",item="reads"} 7',
  ];
  assert.equal(text, lines.map((line) => `${line}\n`).join(""));
});

Deno.test("parseFamilies() reads what renderFamilies() has written", () => {
  const name = fc.stringMatching(/^[a-zA-Z_:][a-zA-Z0-9_:]{0,8}[a-z]$/);
  const label = fc.stringMatching(/^[a-zA-Z_][a-zA-Z0-9_]{0,8}$/);
  const value = fc.oneof(fc.integer(), fc.double(), fc.constantFrom(NaN, Infinity, -Infinity)).map((it) => it + 0);
  const text = fc.string({ unit: "grapheme" });
  const samples = fc.array(fc.record({ labels: fc.dictionary(label, text), value }), { minLength: 1 });
  const help = fc.stringMatching(/^[A-Z][a-z ]*$/);
  const family = fc.record({ name, help, type: fc.constantFrom("gauge", "counter"), samples });
  const families = fc.uniqueArray(family, { selector: (it) => it.name });
  fc.assert(fc.property(families, (written) => {
    const read = parseFamilies(renderFamilies(written as Family[]));
    const plain = (all: readonly Family[]) =>
      all.map((one) => ({
        ...one,
        samples: one.samples.map((each) => [{ ...each.labels }, each.value]),
      }));
    assert.deepEqual(plain(read), plain(written as Family[]));
  }));
});

Deno.test("parseFamilies() reads histograms, times and texts without descriptions", () => {
  const text = '# just words\n# TYPE h histogram\nh_bucket{le="+Inf",} 2 1700000000\nh_sum 3.5\nlone +Inf\n';
  const parsed = parseFamilies(text).map(({ name, type, samples }) => [name, type, samples.map((one) => one.name)]);
  assert.deepEqual(parsed, [["h", "histogram", ["h_bucket", "h_sum"]], ["lone", "untyped", ["lone"]]]);
  assert.match(renderFamilies(parseFamilies(text)), /h_bucket\{le="\+Inf"\} 2\nh_sum 3\.5\n/);
});

Deno.test.each(["a b", "a{x=1} 2", 'a{x="1} 2', "1a 2", "a 2 3 4", "<html>", 'a{x="\x01"} 1 x'])(
  "parseFamilies() refuses the line %s",
  (line) => {
    assert.throws(() => parseFamilies(`good 1\n${line}\n`), { name: "RangeError", message: /^Cannot read "/ });
  },
);
