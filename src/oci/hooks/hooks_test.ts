import assert from "node:assert/strict";
import { runHooks } from "./hooks.ts";

const STATE = { ociVersion: "1.2.0", id: "c1", status: "created", pid: 1, bundle: "/" } as const;

function hook(script: string, timeout: number) {
  return { prestart: [{ path: "/bin/sh", args: ["sh", "-c", script], timeout }] };
}

Deno.test("runHooks() waits for a hook that may take more than the longest delay of a timer", async () => {
  await runHooks("prestart", hook("sleep 0.2", 1e9), { state: STATE });
});

Deno.test("runHooks() ends a hook that takes longer than it may", async () => {
  await assert.rejects(runHooks("prestart", hook("exec sleep 60", 0.05), { state: STATE }), (error: Error) => {
    assert.match(String(error.cause), /TimeoutError/);
    return true;
  });
});
