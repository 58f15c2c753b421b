import assert from "node:assert/strict";
import fc from "fast-check";
import {
  agentConfigFile,
  agentKernelParameters,
  agentOptionKeys,
  type AgentOptions,
  defaultAgentOptions,
  parseAgentOptions,
} from "./options.ts";

Deno.test.each<{ line: string; says: Partial<AgentOptions> }>([
  { line: "quiet console=hvc0 agentlog=debug", says: {} },
  { line: "agent.debug_console", says: { debugConsole: true } },
  { line: "agent.debug_console=true", says: {} },
  { line: "agent.debug_console_vport=1026", says: { debugConsolePort: 1026 } },
  { line: "agent.trace", says: { tracing: true } },
  { line: "agent.trace=1", says: { tracing: true } },
  { line: "agent.trace=no", says: {} },
  { line: "agent.log=warn", says: { logLevel: "warning" } },
  { line: "agent.log=fatal", says: { logLevel: "critical" } },
  { line: "agent.hotplug_timeout=0", says: {} },
  { line: "agent.hotplug_timeout=-3", says: {} },
  { line: "agent.secure_storage_integrity=0", says: { secureStorageIntegrity: false } },
  { line: "agent.secure_storage_integrity=a=b", says: { secureStorageIntegrity: false } },
  { line: "agent.server_addr=unix:///tmp/a=b", says: { serverAddress: "unix:///tmp/a=b" } },
  { line: "agent.https_proxy=http://proxy:3128", says: { httpsProxy: "http://proxy:3128/" } },
  { line: "agent.mem_agent_memcg_swap=true", says: {} },
  {
    line: "agent.mem_agent_enable=1 agent.mem_agent_memcg_swap=true",
    says: { memAgentEnable: true, memcgSwap: true },
  },
])("parseAgentOptions($line)", ({ line, says }) => {
  assert.deepEqual(parseAgentOptions(line), { ...defaultAgentOptions(), ...says });
});

Deno.test.each([
  { line: "agent.log=loud", reason: /Cannot read kernel parameter "agent.log=loud"/ },
  { line: "agent.log_vport=a", reason: /expected one integer/ },
  { line: "agent.log_vport=1=2", reason: /expected one integer/ },
  { line: "agent.guest_components_procs=all", reason: /agent.guest_components_procs=all/ },
  { line: "agent.mem_agent_enable=1 agent.mem_agent_memcg_swap=1", reason: /expected true or false/ },
  { line: "agent.mem_agent_enable=1 agent.mem_agent_compact_order=256", reason: /expected 0 to 255/ },
])("parseAgentOptions($line) throws", ({ line, reason }) => {
  assert.throws(() => parseAgentOptions(line), reason);
});

Deno.test("agentConfigFile() finds the path", () => {
  assert.equal(agentConfigFile("quiet agent.config_file=/etc/a.toml agent.log=debug"), "/etc/a.toml");
  assert.equal(agentConfigFile("quiet"), undefined);
});

Deno.test("agentOptionKeys() names each option as the agent's TOML file does", () => {
  const keys = agentOptionKeys();
  assert.equal(keys.get("log_level"), "logLevel");
  assert.equal(keys.get("mem_agent_compact_order"), "compactOrder");
  assert.equal(keys.get("unified_cgroup_hierarchy"), "unifiedCgroups");
  assert.equal(keys.size, Object.keys(defaultAgentOptions()).length);
});

Deno.test("parseAgentOptions() reads what agentKernelParameters() prints", () => {
  const options = fc.record<Partial<AgentOptions>>({
    debugConsole: fc.boolean(),
    tracing: fc.boolean(),
    secureStorageIntegrity: fc.boolean(),
    logLevel: fc.constantFrom("trace", "debug", "info", "warning", "error", "critical"),
    hotplugTimeout: fc.integer({ min: 1 }),
    serverAddress: fc.constantFrom("serial://agent.0", "vsock://-1:1024"),
    guestProcesses: fc.constantFrom("none", "api-server-rest"),
    memAgentEnable: fc.constantFrom(...[true]),
    compactSecMax: fc.bigInt({ min: -5n, max: 5n }),
    compactForceTimes: fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }),
  });
  fc.assert(fc.property(options, (some) => {
    assert.deepEqual(parseAgentOptions(agentKernelParameters(some).join(" ")), { ...defaultAgentOptions(), ...some });
  }));
});
