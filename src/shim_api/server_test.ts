import assert from "node:assert/strict";
import { errorChain, type KataError } from "../base/error.ts";
import { type Management, MANAGEMENT_SOCKET, MOST_BODY_BYTES } from "./contract.ts";
import { type ManagementClient, openManagement } from "./client.ts";
import { serveManagement } from "./server.ts";

/** A directory of sandboxes in which the shim of `s1` serves. */
async function withShim(
  management: Partial<Management>,
  test: (shim: ManagementClient, path: string, root: string) => Promise<void>,
): Promise<void> {
  const root = await Deno.makeTempDir();
  const path = `${root}/s1/${MANAGEMENT_SOCKET}`;
  await Deno.mkdir(`${root}/s1`);
  const stop = new AbortController();
  const serving = serveManagement(path, management, { signal: stop.signal });
  try {
    using shim = openManagement("s1", { root, timeoutMs: 2_000 });
    await test(shim, path, root);
  } finally {
    stop.abort();
    await serving;
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("openManagement() reaches each method of serveManagement() with its arguments", async () => {
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
  await withShim(management, async (shim) => {
    assert.equal(await shim.agentUrl(), "vsock://3:1024");
    assert.equal(await shim.metrics(), "kata_shim_threads 1\n");
    assert.equal(await shim.iptables(), "*filter\n");
    await shim.setIptables("*filter\nCOMMIT\n");
    assert.equal(await shim.ip6tables(), "*nat\n");
    await shim.setIp6tables("");
    assert.equal(await shim.volumeStats("/dev/a b&c"), "{}");
    await shim.resizeVolume("/vol", 1 << 20);
    await shim.setPolicy("package agent_policy");
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

Deno.test("serveManagement() says what it lacks and what failed; its socket is nobody else's", async () => {
  const failing = { metrics: () => Promise.reject(new Error("Cannot ask", { cause: new Error("gone\nfor good") })) };
  await withShim(failing, async (shim, path) => {
    const failed = /^Cannot GET \/metrics of the shim at ".*": Cannot ask: gone for good$/;
    await assert.rejects(shim.metrics(), { code: "INTERNAL", message: failed });
    await assert.rejects(shim.agentUrl(), { code: "UNIMPLEMENTED", message: /does not serve GET \/agent-url$/ });
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
  });
});

Deno.test.each([
  { request: "GET /nothing", status: 404 },
  { request: "DELETE /metrics", status: 404 },
  { request: "POST /direct-volume/stats", status: 400 },
  { request: "POST /direct-volume/resize", body: '{"VolumePath":"/v","Size":"big"}', status: 400 },
  { request: "POST /direct-volume/resize", body: '{"VolumePath":"/v","Size":-5}', status: 400 },
  { request: "POST /direct-volume/resize", body: "null", status: 400 },
  { request: "POST /direct-volume/resize", body: "{x", status: 400 },
  { request: "PUT /policy", body: new Uint8Array([0xff]), status: 400 },
  { request: "POST /direct-volume/resize", body: '{"VolumePath":"/v","Size":5}', status: 200 },
])("serveManagement() answers $request $body with $status", async ({ request, body, status }) => {
  const management = { volumeStats: async () => "", resizeVolume: async () => {}, setPolicy: async () => {} };
  await withShim(management, async (_shim, path) => {
    using client = Deno.createHttpClient({ proxy: { transport: "unix", path } });
    const [method, target] = request.split(" ") as [string, string];
    const init = { client, method, ...(body !== undefined && { body }) };
    const response = await fetch(`http://localhost${target}`, init);
    await response.body?.cancel();
    assert.equal(response.status, status);
  });
});

Deno.test("serveManagement() and its client take no more than so many bytes", async () => {
  let asked = 0;
  const long = "x".repeat(MOST_BODY_BYTES + 1);
  const management = { setPolicy: async () => void asked++, metrics: async () => long };
  await withShim(management, async (shim) => {
    await assert.rejects(shim.setPolicy(long), { code: "INVALID_ARGUMENT", message: /more than 4194304 bytes$/ });
    await assert.rejects(shim.metrics(), { code: "INTERNAL", message: /^Cannot use the answer of / });
    assert.equal(asked, 0);
  });
});

Deno.test("openManagement() takes the beginning of one id, and says what there is", async () => {
  await withShim({ metrics: async () => "up" }, async (shim, _path, root) => {
    assert.equal(shim.sandboxId, "s1");
    using short = openManagement("s", { root });
    assert.equal(await short.metrics(), "up");
    await Deno.mkdir(`${root}/s12`);
    using exact = openManagement("s1", { root });
    assert.equal(exact.sandboxId, "s1");
    const refused = (id: string) => assert.throws.bind(undefined, () => openManagement(id, { root }));
    refused("s")({ code: "INVALID_ARGUMENT", message: 'Cannot tell which sandbox "s" is: "s1", "s12"' });
    refused("t")({ code: "NOT_FOUND", message: `Cannot find sandbox "t" in "${root}": there are "s1", "s12"` });
    refused("s12")({ code: "NOT_FOUND", message: /^Cannot ask the shim of sandbox "s12": it serves nobody at "/ });
    refused("../s1")({ code: "INVALID_ARGUMENT", message: /^Cannot use sandbox id "\.\.\/s1"/ });
  });
  assert.throws(() => openManagement("s", { root: "/no/such" }), { code: "NOT_FOUND", message: /: there is none$/ });
});

Deno.test("F1: openManagement() asks no socket that others could have made", async () => {
  await withShim({ metrics: async () => "up" }, async (_shim, path, root) => {
    const refused = (why: RegExp) =>
      assert.throws(
        () => openManagement("s1", { root }),
        (error: KataError) => error.code === "PERMISSION_DENIED" && why.test(errorChain(error)),
      );
    await Deno.chmod(`${root}/s1`, 0o777);
    refused(/others than its owner may write to ".*\/s1"$/);
    await Deno.chmod(`${root}/s1`, 0o700);
    await Deno.rename(path, `${path}.old`);
    await Deno.writeTextFile(path, "");
    refused(/it is no socket$/);
  });
});

Deno.test("openManagement() is UNAVAILABLE where nobody listens any more, and bounded where nobody answers", async () => {
  const { promise: never, resolve } = Promise.withResolvers<string>();
  await withShim({ metrics: () => never }, async (_shim, _path, root) => {
    using shim = openManagement("s1", { root, timeoutMs: 50 });
    await assert.rejects(shim.metrics(), { code: "DEADLINE_EXCEEDED", message: /: no answer in 50 ms$/ });
    resolve("");
    await Deno.mkdir(`${root}/s2`);
    const dead = Deno.listen({ transport: "unix", path: `${root}/s2/dead` });
    await Deno.rename(`${root}/s2/dead`, `${root}/s2/${MANAGEMENT_SOCKET}`);
    dead.close();
    using gone = openManagement("s2", { root });
    await assert.rejects(gone.metrics(), { code: "UNAVAILABLE", message: /^Cannot reach the shim at ".*s2/ });
  });
});
