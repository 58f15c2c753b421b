import assert from "node:assert/strict";
import { parseFlags } from "../flags.ts";
import { command, resourcesOf } from "./update.ts";

function resources(...args: string[]) {
  return resourcesOf(parseFlags(command.flags, args).flags as Parameters<typeof resourcesOf>[0]);
}

Deno.test("resourcesOf() holds only what the flags name", () => {
  assert.deepEqual(resources(), {});
  assert.deepEqual(resources("--memory", "64M", "--memory-swap=-1"), { memory: { limit: 64 << 20, swap: -1 } });
  assert.deepEqual(resources("--cpu-quota", "-1", "--cpuset-cpus", "0-1", "--pids-limit", "5"), {
    cpu: { quota: -1, cpus: "0-1" },
    pids: { limit: 5 },
  });
});

Deno.test.each([{ args: ["--cpu-quota", "lots"] }, { args: ["--memory", "big"] }])(
  "resourcesOf($args) is refused",
  ({ args }) => assert.throws(() => resources(...args), RangeError),
);
