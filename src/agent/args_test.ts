import assert from "node:assert/strict";
import { type AgentArgs, parseAgentArgs } from "./args.ts";

Deno.test.each<{ args: string[]; says: Partial<AgentArgs> }>([
  { args: [], says: {} },
  { args: ["-v"], says: { showVersion: true } },
  { args: ["-c", "/a.toml"], says: { configFile: "/a.toml" } },
  { args: ["--config=/a=b.toml"], says: { configFile: "/a=b.toml" } },
  { args: ["--server-addr", "unix:///a"], says: { serverAddress: "unix:///a" } },
])("parseAgentArgs($args)", ({ args, says }) => {
  assert.deepEqual(parseAgentArgs(args, { isInit: false }), { showVersion: false, ...says });
});

Deno.test("parseAgentArgs() names what it does not know, unless the kernel passed it", () => {
  assert.throws(() => parseAgentArgs(["--sever-addr=x"], { isInit: false }), { message: /"--sever-addr=x"/ });
  assert.throws(() => parseAgentArgs(["--config"], { isInit: false }), { message: /"--config": it needs a value/ });
  assert.deepEqual(parseAgentArgs(["splash"], { isInit: true }), { showVersion: false });
});
