import assert from "node:assert/strict";
import { verifyProc } from "./proc_mount.ts";

Deno.test("F4: verifyProc() takes a proc, and nothing else that a tracer could have had opened for one", {
  ignore: Deno.uid() !== 0,
}, () => {
  verifyProc(Deno.pid, "/proc");
  for (const path of ["/sys", "/dev", "/"]) {
    assert.throws(() => verifyProc(Deno.pid, path), { code: "PERMISSION_DENIED" }, path);
  }
});
