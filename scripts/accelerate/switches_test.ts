import assert from "node:assert/strict";
import { hasTrick } from "./switches.ts";

Deno.test("hasTrick() is false for all with 1, for those that are named, and else true", () => {
  assert.equal(hasTrick("prelink", ""), true);
  assert.equal(hasTrick("prelink", "1"), false);
  assert.equal(hasTrick("prelink", "timers,prelink"), false);
  assert.equal(hasTrick("launcher", "timers,prelink"), true);
});
