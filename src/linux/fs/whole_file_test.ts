import assert from "node:assert/strict";
import { writeWholeFile } from "./whole_file.ts";

Deno.test("writeWholeFile() leaves the file alone in its directory, with its mode", () => {
  const directory = Deno.makeTempDirSync();
  try {
    writeWholeFile(`${directory}/file`, "text", { mode: 0o640 });
    assert.equal(Deno.readTextFileSync(`${directory}/file`), "text");
    assert.equal(Deno.statSync(`${directory}/file`).mode! & 0o777, 0o640 & ~Deno.umask());
    assert.deepEqual([...Deno.readDirSync(directory)].map(({ name }) => name), ["file"]);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

Deno.test("writeWholeFile() takes the place of a link, not of what it leads to", () => {
  const directory = Deno.makeTempDirSync();
  try {
    Deno.writeTextFileSync(`${directory}/other`, "other");
    Deno.symlinkSync("other", `${directory}/file`);
    writeWholeFile(`${directory}/file`, "text", { mode: 0o644 });
    assert.equal(Deno.readTextFileSync(`${directory}/file`), "text");
    assert.equal(Deno.readTextFileSync(`${directory}/other`), "other");
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

Deno.test("writeWholeFile() names the path that cannot be written", () => {
  assert.throws(() => writeWholeFile("/no/such/file", "", { mode: 0o644 }), /\/no\/such.*ENOENT/);
});
