/** Pods in VMs through Kubernetes' interface of Debian's containerd, with its bridge network. Needs root and dist/guest. */
import assert from "node:assert/strict";
import { until } from "./containerd.ts";
import { type Pod, type PodContainer, pods, podsOnAll, SLEEP, STATE } from "./pod.ts";
import { GATEWAY } from "./pod_settings.ts";

const PORT = 8080;
const SERVE = `mkdir -p /tmp/www; echo from $NAME >/tmp/www/index.html; exec httpd -f -p ${PORT} -h /tmp/www`;

function web(pod: Pod, name: string, attempt = 0): Promise<PodContainer> {
  return pod.run(name, `NAME=${name}${attempt}; ${SERVE}`, { metadata: { name, attempt } });
}

async function fetchText(address: string): Promise<string> {
  const host = address.includes(":") ? `[${address}]` : address;
  return await (await fetch(`http://${host}:${PORT}/`, { signal: AbortSignal.timeout(10_000) })).text();
}

/** Waits for a server that has just been started. */
async function served(address: string, text: string): Promise<void> {
  await until(async () => (await fetchText(address).catch(() => "")) === text);
}

pods("containers of a pod, host and pods reach each other by IPv4 and IPv6 (B47)", async (node) => {
  await using first = await node.pod("first");
  await using second = await node.pod("second");
  await web(first, "web");
  const client = await first.run("client", SLEEP);
  const other = await second.run("other", SLEEP);
  const [inet = "", inet6 = ""] = await first.addresses();
  for (const address of [inet, inet6]) await served(address, "from web0\n");
  assert.equal(await client.exec(`wget -qO- http://127.0.0.1:${PORT}/`), "from web0\n");
  assert.match(await client.exec("cat /sys/class/net/eth0/mtu"), /^1400$/m);
  assert.match(await client.exec("ip neigh"), new RegExp(`^${GATEWAY.inet} .* PERMANENT`, "m"));
  for (const host of [inet, `[${inet6}]`]) {
    assert.equal(await other.exec(`wget -qO- http://${host}:${PORT}/`), "from web0\n");
  }
  for (const hostname of [GATEWAY.inet, GATEWAY.inet6]) {
    await using _server = Deno.serve({ hostname, port: PORT, onListen() {} }, () => new Response("from the node"));
    const url = `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${PORT}/`;
    assert.equal(await other.exec(`wget -qO- ${url}`), "from the node");
  }
});

podsOnAll("exec, logs, and the restart of one container in a pod that goes on", async (node) => {
  await using pod = await node.pod("pod");
  const steady = await pod.run("steady", SLEEP);
  let server = await web(pod, "web");
  const [address = ""] = await pod.addresses();
  await served(address, "from web0\n");
  assert.deepEqual(await steady.tryExec("echo out; echo err >&2; exit 3"), {
    status: 3,
    stdout: "out\n",
    stderr: "err\n",
  });
  assert.equal(await steady.exec("hostname"), "pod\n");
  await until(() => steady.log().length > 0);
  assert.deepEqual(steady.log(), ["stdout F ready"]);
  for (const attempt of [1, 2]) {
    await server.stop();
    assert.equal((await server.status()).exit_code, 137);
    await server.remove();
    server = await web(pod, "web", attempt);
    await served(address, `from web${attempt}\n`);
  }
  assert.equal(await steady.exec("echo still here"), "still here\n");
});

pods("stop and remove succeed when they are repeated (B38)", async (node) => {
  const pod = await node.pod("pod");
  const container = await pod.run("one", SLEEP);
  for (let round = 0; round < 2; round++) await container.stop();
  for (let round = 0; round < 2; round++) await container.remove();
  for (let round = 0; round < 2; round++) await pod.stop();
  for (let round = 0; round < 2; round++) await pod.remove();
});

pods("a pod in the host's network is refused in one clear line", async (node) => {
  const NODE = 2;
  const linux = { security_context: { namespace_options: { network: NODE } } };
  await assert.rejects(
    node.pod("host", { linux }),
    /in the host's network: a virtual machine has a network of its own/,
  );
});

pods("a process beyond its memory limit ends as OOMKilled", async (node) => {
  await using pod = await node.pod("pod");
  const limits = { linux: { resources: { memory_limit_in_bytes: 64 << 20 } } };
  const eater = await pod.run("eater", "exec dd if=/dev/zero of=/dev/null bs=256M", limits);
  await until(async () => (await eater.status()).state === STATE.exited);
  const { exit_code, reason } = await eater.status();
  assert.deepEqual({ exit_code, reason }, { exit_code: 137, reason: "OOMKilled" });
});

pods("B49: an interface that appears late is plugged into the running VM", async (node) => {
  await using pod = await node.pod("pod");
  const netns = (await node.netnsOf(pod)).split("/").at(-1)!;
  const ip = async (...args: readonly string[]) => {
    const { status, stderr } = await node.containerd.run(["ip", ...args]);
    assert.equal(status, 0, stderr);
  };
  const host = `late${crypto.randomUUID().slice(0, 6)}`;
  await ip("link", "add", host, "type", "veth", "peer", "name", "eth1", "netns", netns);
  await ip("address", "add", "10.198.0.1/24", "dev", host);
  await ip("link", "set", host, "up");
  await ip("-n", netns, "address", "add", "10.198.0.2/24", "dev", "eth1");
  await ip("-n", netns, "link", "set", "eth1", "up");
  await web(pod, "web");
  await served("10.198.0.2", "from web0\n");
});
