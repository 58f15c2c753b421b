import assert from "node:assert/strict";
import type { ContainerParts } from "../container/create_options.ts";
import { execProcess } from "./exec.ts";

Deno.test("execProcess() enters no process that got the pid of the container's own meanwhile", async () => {
  await using other = new Deno.Command("sleep", { args: ["1000"] }).spawn();
  const stored = { id: "c", pid: other.pid, startTime: 1n, spec: {}, noNewKeyring: true };
  const parts = { home: {}, stored, cgroup: { procsFiles: () => [] } } as unknown as ContainerParts;
  const process = { user: { uid: Deno.uid()!, gid: Deno.gid()! }, args: ["true"], env: ["PATH=/bin"], cwd: "/" };
  const message = 'Cannot exec container "c": it is stopped';
  await assert.rejects(execProcess(parts, process, {}), { code: "FAILED_PRECONDITION", message });
  other.kill();
});
