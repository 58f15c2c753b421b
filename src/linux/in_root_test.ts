import assert from "node:assert/strict";
import { Fd, O_DIRECTORY, O_PATH } from "./fd.ts";
import { readTextInRoot } from "./in_root.ts";

Deno.test("readTextInRoot() opens regular files only", () => {
  using root = Fd.open("/", O_PATH | O_DIRECTORY);
  const limit = 1 << 16;
  assert.equal(readTextInRoot(root, "/proc/sys/kernel/ostype", { limit }), "Linux\n");
  for (const path of ["/dev/null", "/etc"]) {
    assert.throws(() => readTextInRoot(root, path, { limit }), { message: `Cannot read "${path}": no regular file` });
  }
});
