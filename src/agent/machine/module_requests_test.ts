import assert from "node:assert/strict";
import { createLogger } from "../../base/log.ts";
import { ModuleRequests } from "./module_requests.ts";

const log = createLogger({ sink: () => {} });
const needs = { mayRequest: true, listed: [], named: [] };

/** @returns What the kernel is told from the first to the last. */
async function told(machine: "init" | "service" | "none", { fails = false } = {}): Promise<string[]> {
  const steps: string[] = [];
  const kernel = {
    nameProgram: (program: string) => void steps.push(`program ${program.trim()}`.trim()),
    guard: () => {
      if (fails) throw new Error("no BPF");
      steps.push("guard");
      return { [Symbol.dispose]: () => void steps.push("no guard") };
    },
  };
  {
    using requests = new ModuleRequests({ machine, log, kernel });
    await requests.serve(needs);
    await requests.serve(needs);
  }
  return steps;
}

Deno.test("pods A13: ModuleRequests in a machine of its own takes the program away before the guard goes", async () => {
  assert.deepEqual(await told("init"), ["program", "guard", "program /sbin/modprobe", "program", "no guard"]);
  assert.deepEqual(
    await told("init", { fails: true }),
    ["program"],
    "nobody gets a module of a kernel that cannot tell who asks",
  );
});

Deno.test("pods A13: ModuleRequests leaves the program to another init, and guards from the start", async () => {
  assert.deepEqual(await told("service"), ["guard", "no guard"]);
  assert.deepEqual(await told("none"), []);
});
