import assert from "node:assert/strict";
import { type Address, dial, listen, parseAddress } from "./address.ts";
import { type Duplex, writeAll } from "./duplex.ts";

Deno.test.each<{ text: string; address: Address }>([
  { text: "unix:///run/a.sock", address: { kind: "unix", path: "/run/a.sock" } },
  { text: "/run/a.sock", address: { kind: "unix", path: "/run/a.sock" } },
  { text: "remote:///run/a.sock", address: { kind: "unix", path: "/run/a.sock" } },
  { text: "unix://@/tmp/a", address: { kind: "unix", path: "\0/tmp/a" } },
  { text: "vsock://3:1024", address: { kind: "vsock", cid: 3, port: 1024 } },
  { text: "vsock://-1:1024", address: { kind: "vsock", cid: 0xffff_ffff, port: 1024 } },
  { text: "hvsock:///run/kata.hvsock:1024", address: { kind: "hvsock", path: "/run/kata.hvsock", port: 1024 } },
  { text: "serial:///run/agent.sock", address: { kind: "serial-socket", path: "/run/agent.sock" } },
  { text: "serial://agent.0", address: { kind: "serial-port", name: "agent.0" } },
])("parseAddress($text)", ({ text, address }) => assert.deepEqual(parseAddress(text), address));

Deno.test.each(["", "tcp://1:2", "vsock://a:1", "vsock://3", "hvsock:///run/a", "unix://", "unix://@", "serial://a/b"])(
  "parseAddress(%s) throws",
  (text) => {
    assert.throws(() => parseAddress(text), { name: "RangeError", message: /Cannot read address/ });
  },
);

/** A VMM that answers each CONNECT with `answer`, for `dial("hvsock://...")`. */
async function withVmm(answer: string, test: (address: string, requests: string[]) => Promise<void>) {
  const dir = await Deno.makeTempDir();
  const requests: string[] = [];
  const sockets: Duplex[] = [];
  try {
    using listener = Deno.listen({ transport: "unix", path: `${dir}/vmm` });
    const serving = (async () => {
      for await (const socket of listener) {
        sockets.push(socket);
        const buffer = new Uint8Array(100);
        const count = await socket.read(buffer) ?? 0;
        requests.push(new TextDecoder().decode(buffer.subarray(0, count)));
        if (answer === "") sockets.pop()?.close();
        else await writeAll(socket, new TextEncoder().encode(answer));
      }
    })();
    await test(`hvsock://${dir}/vmm:1024`, requests);
    listener.close();
    await serving.catch(() => {});
  } finally {
    for (const socket of sockets) socket.close();
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("dial(hvsock) asks for the port and keeps what the guest sent at once", async () => {
  await withVmm("OK 52\nhello", async (address, requests) => {
    using duplex = await dial(address);
    const buffer = new Uint8Array(3);
    assert.equal(await duplex.read(buffer), 3);
    assert.equal(new TextDecoder().decode(buffer), "hel");
    assert.equal(await duplex.read(buffer), 2);
    assert.deepEqual(requests, ["CONNECT 1024\n"]);
  });
});

Deno.test.each([
  { name: "nothing", answer: "", reason: /nobody listens in the guest/ },
  { name: "no", answer: "NO\n", reason: /The VMM refused: "NO"/ },
  { name: "without an end", answer: "x".repeat(300), reason: /longer than 256 bytes/ },
])("dial(hvsock) fails when the VMM answers $name", async ({ answer, reason }) => {
  await withVmm(answer, async (address) => {
    const error = await dial(address).then(() => assert.fail("connected"), (error) => error);
    assert.match(error.message, /^Cannot connect to hvsock:/);
    assert.match(error.cause.message, reason);
  });
});

Deno.test("dial() ends with its signal", async () => {
  await withVmm("OK ", async (address) => {
    const stop = new AbortController();
    const dialing = dial(address, { signal: stop.signal });
    setTimeout(() => stop.abort(new Error("enough")), 10);
    await assert.rejects(dialing, { cause: new Error("enough") });
  });
});

Deno.test("dial() names the address that nobody listens on", async () => {
  await assert.rejects(dial("unix:///no/such"), { message: "Cannot connect to unix:///no/such" });
});

Deno.test("listen() names what it cannot listen on", () => {
  assert.throws(() => listen("hvsock:///run/a:1"), { message: "Cannot listen on hvsock:///run/a:1" });
});

Deno.test("kvm M3: dial() of a vsock without a key uses the way that ends with its signal, from any port", async () => {
  const asked: number[] = [];
  const given = new AbortController();
  const dialling = dial("vsock://7:1024", {
    signal: given.signal,
    connectFrom: ({ ownPort }, { signal }) => {
      asked.push(ownPort);
      return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    },
  });
  setTimeout(() => given.abort(new Error("given up")), 0);
  await assert.rejects(dialling, { message: "Cannot connect to vsock://7:1024" });
  assert.deepEqual(asked, [0xffff_ffff]);
});

Deno.test("wire W11: listen() and dial() meet at a name without a file", async () => {
  const address = `unix://@kata-test-${crypto.randomUUID()}`;
  using listener = listen(address);
  const accepting = listener[Symbol.asyncIterator]().next();
  using client = await dial(address);
  const { value } = await accepting;
  using server: Duplex = value;
  await writeAll(client, new Uint8Array([7]));
  const buffer = new Uint8Array(1);
  assert.equal(await server.read(buffer), 1);
  assert.equal(buffer[0], 7);
});
