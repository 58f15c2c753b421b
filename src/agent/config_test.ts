import assert from "node:assert/strict";
import { type ConfigSources, loadAgentConfig, warnOfUnbuilt } from "./config.ts";

const NOTHING: ConfigSources = { cmdline: "", env: { get: () => undefined } };

Deno.test("loadAgentConfig() lets the environment win over the command line, and switches over both", async () => {
  const env = new Map([["KATA_AGENT_SERVER_ADDR", "unix:///env"], ["KATA_AGENT_LOG_LEVEL", "error"]]);
  const cmdline = "agent.server_addr=unix:///cmdline agent.log_vport=1025\n";
  const config = await loadAgentConfig({ cmdline, env, overrides: { serverAddress: "unix:///switch" } });
  assert.deepEqual([config.serverAddress, config.logLevel, config.logPort], ["unix:///switch", "error", 1025]);
});

Deno.test("loadAgentConfig() takes everything from the file that the command line names", async () => {
  const toml = 'log_level = "debug"\nhotplug_timeout = { secs = 2, nanos = 500000000 }\ndebug_console = true\n';
  const config = await loadAgentConfig({
    cmdline: "agent.log_vport=9 agent.config_file=/etc/agent.toml",
    env: { get: () => "unix:///env" },
    readFile: (path) => path === "/etc/agent.toml" ? toml : "",
  });
  assert.equal(config.logLevel, "debug");
  assert.equal(config.hotplugTimeout, 2.5);
  assert.deepEqual([config.logPort, config.debugConsole], [0, true]);
  assert.equal(config.serverAddress, "vsock://-1:1024");
});

Deno.test.each([
  { toml: "log_vport = true", setting: "/a.toml, key log_vport" },
  { toml: 'log_level = "loud"', setting: "/a.toml, key log_level" },
  { toml: "log_level = ", setting: "/a.toml" },
])("loadAgentConfig() names what is wrong in a file: $toml", async ({ toml, setting }) => {
  const loading = loadAgentConfig({ ...NOTHING, file: "/a.toml", readFile: () => toml });
  await assert.rejects(loading, { message: `Cannot use setting "${setting}"` });
});

Deno.test("loadAgentConfig() names a malformed variable", async () => {
  const env = new Map([["KATA_AGENT_LOG_LEVEL", "loud"]]);
  await assert.rejects(loadAgentConfig({ ...NOTHING, env }), {
    message: 'Cannot use setting "KATA_AGENT_LOG_LEVEL"',
  });
});

Deno.test("warnOfUnbuilt() names each option that does nothing yet, as it was given", async () => {
  const cmdline = "quiet agent.log=debug agent.debug_console agent.debug_console_vport=1026";
  assert.deepEqual(warnOfUnbuilt(await loadAgentConfig({ ...NOTHING, cmdline })), [
    "Option agent.debug_console has no effect: it is not supported yet",
    "Option agent.debug_console_vport=1026 has no effect: it is not supported yet",
  ]);
  assert.deepEqual(warnOfUnbuilt(await loadAgentConfig(NOTHING)), []);
});
