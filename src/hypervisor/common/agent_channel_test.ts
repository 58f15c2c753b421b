import assert from "node:assert/strict";
import { errorChain } from "../../base/error.ts";
import { createLogger } from "../../base/log.ts";
import { ERRNO, ErrnoError } from "../../linux/ffi/errno.ts";
import { type AgentChannel, hostAddress, listenParams, openFirst } from "./agent_channel.ts";

type Kind = AgentChannel["kind"];

/** Opens what works, and gives the log's lines as well. */
async function open(wanted: Kind | "auto", broken: readonly Kind[]): Promise<{ kind: Kind; lines: string[] }> {
  const lines: string[] = [];
  const opener = (kind: Kind) => () => {
    if (broken.includes(kind)) throw new ErrnoError("open", ERRNO.ENODEV, kind);
    return kind;
  };
  const openers = {
    vsock: opener("vsock"),
    "hybrid-vsock": opener("hybrid-vsock"),
    "virtio-serial": opener("virtio-serial"),
  };
  const log = createLogger({ sink: (line) => lines.push(line) });
  return { kind: await openFirst(openers, { wanted, log, signal: new AbortController().signal }), lines };
}

Deno.test.each<{ broken: Kind[]; kind: Kind }>([
  { broken: [], kind: "vsock" },
  { broken: ["vsock"], kind: "hybrid-vsock" },
  { broken: ["vsock", "hybrid-vsock"], kind: "virtio-serial" },
])("kvm M1: openFirst() takes $kind where $broken does not work", async ({ broken, kind }) => {
  const { kind: taken, lines } = await open("auto", broken);
  assert.equal(taken, kind);
  assert.equal(lines.length, kind === "virtio-serial" ? 1 : 0);
  if (kind === "virtio-serial") assert.match(lines[0]!, /"vsock":"open vsock: ENODEV".*"hybrid-vsock":"open/);
});

Deno.test("openFirst() obeys a transport that is named, and says why it does not work", async () => {
  assert.equal((await open("virtio-serial", [])).kind, "virtio-serial");
  assert.equal((await open("hybrid-vsock", ["vsock"])).kind, "hybrid-vsock");
  await assert.rejects(open("vsock", ["vsock"]), (error) => {
    assert.equal(errorChain(error), 'Cannot use agent_transport "vsock": open vsock: ENODEV');
    return true;
  });
});

Deno.test("openFirst() tries no further if the start was given up, or descriptors have run out", async () => {
  const log = createLogger({ sink: () => {} });
  const given = new AbortController();
  const stop = () => {
    given.abort(new Error("given up"));
    throw new Error("closed");
  };
  const never = () => assert.fail("tried");
  const openers = { vsock: stop, "hybrid-vsock": never, "virtio-serial": never };
  await assert.rejects(openFirst(openers, { wanted: "auto", log, signal: given.signal }), { message: "given up" });
  const full = () => {
    throw new ErrnoError("open", ERRNO.EMFILE);
  };
  const { signal } = new AbortController();
  await assert.rejects(openFirst({ ...openers, vsock: full }, { wanted: "auto", log, signal }), { code: "EMFILE" });
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
