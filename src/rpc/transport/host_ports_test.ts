import assert from "node:assert/strict";
import { drawHostPort, HostPorts } from "./host_ports.ts";
import { type HostKey, newHostKey } from "./host_key.ts";

/** `openssl enc -aes-256-ctr` of zeros with this key, and the guest's port as the counter's first word. */
const KNOWN_KEY = "0123456789abcdef".repeat(4) as HostKey;
const KNOWN_PORTS = [831173338, 2463535296, 1857670288];

Deno.test("S1: HostPorts are the same on both sides, and others for another key or another port of the guest", async () => {
  const key = newHostKey();
  const [host, guest] = [await HostPorts.derive(key, 1024), await HostPorts.derive(key, 1024)];
  assert.ok(guest.use(host.any()));
  for (const [otherKey, port] of [[newHostKey(), 1024], [key, 1025]] as [HostKey, number][]) {
    const other = await HostPorts.derive(otherKey, port);
    const hits = Array.from({ length: 100 }, () => guest.use(other.any())).filter((hit) => hit);
    assert.deepEqual(hits, []);
  }
});

Deno.test("S1: HostPorts cover no range of numbers, and none that takes a capability or stands for any", async () => {
  const ports = await HostPorts.derive(newHostKey(), 1024);
  const drawn = Array.from({ length: 1000 }, () => ports.any());
  assert.ok(drawn.every((port) => port >= 1024 && port < 0xffff_ffff));
  const eighths = new Set(drawn.map((port) => port >>> 29));
  assert.equal(eighths.size, 8);
  assert.ok(new Set(drawn).size > 800);
});

Deno.test("HostPorts.use() takes each once, and all again when none is left", () => {
  const ports = new HostPorts([5000, 6000]);
  assert.deepEqual([5000, 5000, 7000, undefined, 6000].map((port) => ports.use(port)), [
    true,
    false,
    false,
    false,
    true,
  ]);
  assert.ok(ports.use(5000));
});

Deno.test("HostPorts are those of every build, as a guest image may be older than its shim", async () => {
  const ports = await HostPorts.derive(KNOWN_KEY, 1024);
  assert.ok(KNOWN_PORTS.every((port) => ports.use(port)));
});

Deno.test("drawHostPort() gives ports of the right list, whoever was asked for before", async () => {
  const keys = [newHostKey(), newHostKey()];
  for (const key of [...keys, ...keys]) {
    for (const guestPort of [1024, 1025]) {
      const ports = await HostPorts.derive(key, guestPort);
      assert.ok(ports.use(await drawHostPort(key, guestPort)));
    }
  }
});
