/** Pods in VMs through Kubernetes' interface of Debian's containerd, with its bridge network. Needs root and dist/guest. */
import assert from "node:assert/strict";

import { type Pod, type PodContainer, pods, podsOnAll, SLEEP, STATE } from "./pod.ts";
import { GATEWAY } from "./pod_settings.ts";
import { until } from "../support/wait.ts";

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
  for (const host of ["127.0.0.1", "[::1]", inet, `[${inet6}]`]) {
    assert.equal(await client.exec(`wget -qO- http://${host}:${PORT}/`), "from web0\n", host);
  }
  for (const host of [inet, `[${inet6}]`]) {
    assert.equal(await other.exec(`wget -qO- http://${host}:${PORT}/`), "from web0\n", host);
  }
  const netns = (await node.netnsOf(first)).split("/").at(-1)!;
  const link = (await node.containerd.run(["ip", "-n", netns, "-o", "link", "show", "eth0"])).stdout;
  const [, mtu, mac] = /mtu (\d+).*link\/ether ([\da-f:]+)/.exec(link) ?? [];
  assert.equal(await client.exec("cat /sys/class/net/eth0/mtu /sys/class/net/eth0/address"), `${mtu}\n${mac}\n`);
  assert.equal(mtu, "1400");
  // The bridge came with the first pod, when its address of IPv6 was not yet settled.
  const neighbors = await other.exec("ip neigh");
  for (const gateway of Object.values(GATEWAY)) {
    assert.match(neighbors, new RegExp(`^${gateway} .* lladdr .* (STALE|DELAY|PROBE|REACHABLE)`, "m"));
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

pods("a container is asked to end before it is killed, and its own exit status is told", async (node) => {
  await using pod = await node.pod("pod");
  const polite = await pod.run("polite", "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.1; done");
  await until(() => polite.log().length > 0);
  await polite.stop(20);
  assert.deepEqual(polite.log(), ["stdout F ready", "stdout F bye"]);
  assert.equal((await polite.status()).exit_code, 3);
  const deaf = await pod.run("deaf", `trap "" TERM; ${SLEEP}`);
  await until(() => deaf.log().length > 0);
  await deaf.stop(1);
  assert.equal((await deaf.status()).exit_code, 137);
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

pods("B49: an interface that appears late is plugged into the running VM, with its routes", async (node) => {
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
  await ip("-n", netns, "address", "add", "fd00:198::2/64", "dev", "eth1", "nodad");
  await ip("-n", netns, "link", "set", "eth1", "up");
  const routes = [
    "10.200.0.0/16 via 10.198.0.1 dev eth1 metric 70",
    "10.200.0.0/16 via 10.198.0.9 dev eth1 metric 80",
    "10.201.0.0/24 dev eth1 scope link src 10.198.0.2",
    "fd00:200::/64 via fd00:198::1 dev eth1 metric 90",
    "fd00:200::/64 via fd00:198::9 dev eth1 metric 95",
  ];
  for (const route of routes) await ip("-n", netns, "route", "add", ...route.split(" "));
  const container = await web(pod, "web");
  await served("10.198.0.2", "from web0\n");
  const inGuest = await container.exec("ip route; ip -6 route");
  const lines = inGuest.split("\n").map((line) => line.trim().replaceAll(/ +/g, " "));
  for (const route of routes) assert.ok(lines.some((line) => line.startsWith(route)), `${route} in ${inGuest}`);
});
