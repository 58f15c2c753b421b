import assert from "node:assert/strict";
import {
  readCgroupFile,
  readCgroupValue,
  readFlatKeyed,
  readNestedKeyed,
  writeCgroupFile,
  writeCgroupFileIfThere,
} from "./file.ts";

function cgroup(files: Record<string, string>): Disposable & { path: string } {
  const path = Deno.makeTempDirSync({ prefix: "cgroup_file_test-" });
  for (const [file, text] of Object.entries(files)) Deno.writeTextFileSync(`${path}/${file}`, text);
  return { path, [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }) };
}

Deno.test.each([
  { text: "max\n", value: "max" },
  { text: "-1\n", value: "max" },
  { text: "9223372036854771712\n", value: 9223372036854771712n },
  { text: "\n", value: undefined },
])("readCgroupValue() of $text is $value", ({ text, value }) => {
  using group = cgroup({ file: text });
  assert.equal(readCgroupValue(group.path, "file"), value);
});

Deno.test("readCgroupValue() of no file is undefined, of words a SyntaxError", () => {
  using group = cgroup({ words: "some avg10=0.00" });
  assert.equal(readCgroupValue(group.path, "gone"), undefined);
  assert.equal(readCgroupFile(`${group.path}/words`, "below a file"), undefined);
  assert.throws(() => readCgroupValue(group.path, "words"), SyntaxError);
});

Deno.test("readCgroupFile() reads files of any length", () => {
  const text = "1234567\n".repeat(10_000);
  using group = cgroup({ "cgroup.procs": text });
  assert.equal(readCgroupFile(group.path, "cgroup.procs"), text.trimEnd());
});

Deno.test("readFlatKeyed() reads counts by key", () => {
  using group = cgroup({ "memory.stat": "anon 4096\nfile 0\n", "cpu.stat": "" });
  assert.deepEqual(readFlatKeyed(group.path, "memory.stat"), new Map([["anon", 4096n], ["file", 0n]]));
  assert.deepEqual(readFlatKeyed(group.path, "cpu.stat"), new Map());
  assert.deepEqual(readFlatKeyed(group.path, "gone"), new Map());
});

Deno.test("readNestedKeyed() reads pairs by name", () => {
  using group = cgroup({ "io.stat": "8:0 rbytes=1 wbytes=2\n8:16 rbytes=3\n" });
  const stat = readNestedKeyed(group.path, "io.stat");
  assert.deepEqual(Object.fromEntries(stat.get("8:0")!), { rbytes: "1", wbytes: "2" });
  assert.deepEqual(Object.fromEntries(stat.get("8:16")!), { rbytes: "3" });
});

Deno.test("writeCgroupFile() writes the value and makes no file", () => {
  using group = cgroup({ "pids.max": "" });
  writeCgroupFile(group.path, "pids.max", 5);
  assert.equal(readCgroupFile(group.path, "pids.max"), "5");
  assert.throws(() => writeCgroupFile(group.path, "gone", "1"), {
    message: `Cannot write "1" to "${group.path}/gone"`,
  });
});

Deno.test("writeCgroupFileIfThere() passes over a group that is gone, not over a refusal", () => {
  using group = cgroup({ file: "" });
  writeCgroupFileIfThere(group.path, "file", 1);
  assert.equal(readCgroupFile(group.path, "file"), "1");
  writeCgroupFileIfThere(`${group.path}/gone`, "file", 1);
  assert.throws(() => writeCgroupFileIfThere(`${group.path}/file`, "below a file", 1), /ENOTDIR|Cannot write/);
});
