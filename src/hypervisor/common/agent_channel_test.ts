import assert from "node:assert/strict";
import { type AgentChannel, chooseTransport, hostAddress, listenParams, type TransportWish } from "./agent_channel.ts";

const DAEMON = "/usr/bin/vhost-device-vsock";

function choose(transport: TransportWish["transport"], existing: readonly string[]): string {
  return chooseTransport({ transport, daemon: DAEMON }, (path) => existing.includes(path));
}

Deno.test.each([
  { existing: ["/dev/vhost-vsock", DAEMON], transport: "vsock" },
  { existing: [DAEMON], transport: "hybrid-vsock" },
  { existing: [], transport: "virtio-serial" },
])("chooseTransport() takes $transport where the host has $existing", ({ existing, transport }) => {
  assert.equal(choose("auto", existing), transport);
});

Deno.test("chooseTransport() obeys a transport that is named, and says what it lacks", () => {
  assert.equal(choose("virtio-serial", ["/dev/vhost-vsock"]), "virtio-serial");
  assert.equal(choose("hybrid-vsock", ["/dev/vhost-vsock", DAEMON]), "hybrid-vsock");
  assert.throws(() => choose("vsock", []), {
    message: 'Cannot use agent_transport "vsock": "/dev/vhost-vsock" does not exist',
  });
});

Deno.test.each<{ channel: AgentChannel; address: string; params: string[] }>([
  { channel: { kind: "vsock", cid: 42 }, address: "vsock://42:1024", params: [] },
  {
    channel: { kind: "hybrid-vsock", hostSocket: "/r/kata.hvsock", isReady: () => true },
    address: "hvsock:///r/kata.hvsock:1024",
    params: [],
  },
  {
    channel: { kind: "virtio-serial", socket: "/r/agent.sock" },
    address: "serial:///r/agent.sock",
    params: ["agent.server_addr=serial://agent.0"],
  },
])("hostAddress() and listenParams() meet at $address", ({ channel, address, params }) => {
  assert.equal(hostAddress(channel), address);
  assert.deepEqual(listenParams(channel), params);
});

Deno.test("W17: hostAddress() gives the vsock daemon's socket to nobody before the guest has set up its device", () => {
  let isReady = false;
  const channel: AgentChannel = { kind: "hybrid-vsock", hostSocket: "/r/kata.hvsock", isReady: () => isReady };
  assert.throws(() => hostAddress(channel), { message: /the guest has not set up its vsock device yet/ });
  isReady = true;
  assert.equal(hostAddress(channel), "hvsock:///r/kata.hvsock:1024");
});
