import assert from "node:assert/strict";
import { hasTrick } from "./switches.ts";

Deno.test("hasTrick() is false for all with 1, for those that are named, and else true", () => {
  assert.ok(hasTrick("prelink", ""));
  assert.ok(!hasTrick("prelink", "1"));
  assert.ok(!hasTrick("prelink", "timers,prelink"));
  assert.ok(hasTrick("launcher", "timers,prelink"));
});
