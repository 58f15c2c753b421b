import assert from "node:assert/strict";
import { added, leftovers } from "./leftovers.ts";

Deno.test("leftovers() finds a directory that a test forgot, and added() tells it from what was there", async () => {
  const before = leftovers();
  const forgotten = await Deno.makeTempDir({ prefix: "kata-leftovers-", dir: "/tmp" });
  try {
    assert.ok(added(before, leftovers()).includes(`file ${forgotten}`));
  } finally {
    await Deno.remove(forgotten);
  }
  assert.ok(!leftovers().includes(`file ${forgotten}`));
});
