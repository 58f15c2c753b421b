import assert from "node:assert/strict";
import { errorChain, errorCode, KataError } from "./error.ts";

Deno.test("errorChain() joins messages from outermost to cause", () => {
  const error = new Error("Cannot start", { cause: new Error("open /dev/kvm: EACCES") });
  assert.equal(errorChain(error), "Cannot start: open /dev/kvm: EACCES");
});

Deno.test("errorChain() tells the first failure before the clean-up's", () => {
  const error = new SuppressedError(new Error("umount: EBUSY"), new Error("mount: ENOENT"));
  assert.equal(errorChain(error), "mount: ENOENT (then, while cleaning up: umount: EBUSY)");
});

Deno.test("errorChain() lists every error of an aggregate", () => {
  assert.equal(errorChain(new AggregateError([new Error("a"), "b"])), "a; b");
});

Deno.test("errorCode() finds the outermost code in the chain", () => {
  const inner = new KataError("NOT_FOUND", "no container");
  assert.equal(errorCode(new Error("Cannot kill", { cause: inner })), "NOT_FOUND");
  assert.equal(errorCode(new KataError("INTERNAL", "x", { cause: inner })), "INTERNAL");
  assert.equal(errorCode(new SuppressedError(new Error("x"), inner)), "NOT_FOUND");
  assert.equal(errorCode("text"), undefined);
});
