import assert from "node:assert/strict";
import { connectManagement, type Management, serveManagement } from "./server.ts";

async function withShim(management: Partial<Management>, test: (client: Management, path: string) => Promise<void>) {
  const dir = await Deno.makeTempDir();
  const path = `${dir}/shim-monitor.sock`;
  const stop = new AbortController();
  const serving = serveManagement(path, management, { signal: stop.signal });
  try {
    await test(connectManagement(path), path);
  } finally {
    stop.abort();
    await serving;
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("connectManagement() reaches each method of serveManagement() with its arguments", async () => {
  const calls: unknown[][] = [];
  const record = (name: string, answer = "") => async (...args: unknown[]) => {
    calls.push([name, ...args]);
    return answer;
  };
  const management = {
    agentUrl: record("agentUrl", "vsock://3:1024"),
    metrics: record("metrics", "kata_shim_threads 1\n"),
    iptables: record("iptables", "*filter\n"),
    setIptables: record("setIptables") as never,
    ip6tables: record("ip6tables", "*nat\n"),
    setIp6tables: record("setIp6tables") as never,
    volumeStats: record("volumeStats", "{}"),
    resizeVolume: record("resizeVolume") as never,
    setPolicy: record("setPolicy") as never,
  };
  await withShim(management, async (client) => {
    assert.equal(await client.agentUrl(), "vsock://3:1024");
    assert.equal(await client.metrics(), "kata_shim_threads 1\n");
    assert.equal(await client.iptables(), "*filter\n");
    await client.setIptables("*filter\nCOMMIT\n");
    assert.equal(await client.ip6tables(), "*nat\n");
    await client.setIp6tables("");
    assert.equal(await client.volumeStats("/dev/a b&c"), "{}");
    await client.resizeVolume("/vol", 1 << 20);
    await client.setPolicy("package agent_policy");
  });
  assert.deepEqual(calls, [
    ["agentUrl"],
    ["metrics"],
    ["iptables"],
    ["setIptables", "*filter\nCOMMIT\n"],
    ["ip6tables"],
    ["setIp6tables", ""],
    ["volumeStats", "/dev/a b&c"],
    ["resizeVolume", "/vol", 1 << 20],
    ["setPolicy", "package agent_policy"],
  ]);
});

Deno.test("serveManagement() says what it lacks and what failed", async () => {
  const failing = { metrics: () => Promise.reject(new Error("Cannot ask", { cause: new Error("gone") })) };
  await withShim(failing, async (client) => {
    await assert.rejects(client.metrics(), { code: "INTERNAL", message: /GET \/metrics .*: Cannot ask: gone$/ });
    await assert.rejects(client.agentUrl(), { code: "INTERNAL", message: /agentUrl is not implemented/ });
  });
});

Deno.test.each([
  { request: "GET /nothing", status: 404 },
  { request: "DELETE /metrics", status: 404 },
  { request: "POST /direct-volume/stats", status: 400 },
  { request: "POST /direct-volume/resize", body: '{"VolumePath":"/v","Size":"big"}', status: 400 },
  { request: "POST /direct-volume/resize", body: "null", status: 400 },
  { request: "POST /direct-volume/resize", body: "{x", status: 400 },
  { request: "POST /direct-volume/resize", body: '{"VolumePath":"/v","Size":5}', status: 200 },
])("serveManagement() answers $request $body with $status", async ({ request, body, status }) => {
  const management = { volumeStats: async () => "", resizeVolume: async () => {} };
  await withShim(management, async (_client, path) => {
    using client = Deno.createHttpClient({ proxy: { transport: "unix", path } });
    const [method, target] = request.split(" ") as [string, string];
    const init = { client, method, ...(body !== undefined && { body }) };
    const response = await fetch(`http://localhost${target}`, init);
    await response.body?.cancel();
    assert.equal(response.status, status);
  });
});

Deno.test("connectManagement() is UNAVAILABLE where no shim serves", async () => {
  await assert.rejects(connectManagement("/no/such").metrics(), { code: "UNAVAILABLE", message: /\/no\/such/ });
});
