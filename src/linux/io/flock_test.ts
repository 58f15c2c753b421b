import assert from "node:assert/strict";
import { Fd, O_RDONLY } from "./fd.ts";
import { tryLock } from "./flock.ts";

Deno.test("tryLock() of a directory keeps others out until it is closed", () => {
  const path = Deno.makeTempDirSync();
  try {
    using second = Fd.open(path, O_RDONLY);
    {
      using first = Fd.open(path, O_RDONLY);
      assert.ok(tryLock(first));
      assert.ok(tryLock(first));
      assert.ok(!tryLock(second));
    }
    assert.ok(tryLock(second));
  } finally {
    Deno.removeSync(path);
  }
});
