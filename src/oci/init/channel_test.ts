import assert from "node:assert/strict";
import { HeardMessages } from "./channel.ts";

Deno.test("HeardMessages admits each planned message once, and copies as often as they come", () => {
  const heard = new HeardMessages((message) => message !== "suspend");
  heard.admit("hooks");
  heard.admit("copyUp");
  heard.admit("copyUp");
  heard.admit("stage2");
  assert.throws(() => heard.admit("hooks"), { code: "PERMISSION_DENIED", message: /tampered with, and says "hooks"/ });
  assert.throws(() => heard.admit("stage2"), { code: "PERMISSION_DENIED" });
});

Deno.test("HeardMessages admits none that was not planned", () => {
  const heard = new HeardMessages((message) => message !== "suspend");
  assert.throws(() => heard.admit("suspend"), { code: "PERMISSION_DENIED", message: /says "suspend"/ });
});
