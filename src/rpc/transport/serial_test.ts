import assert from "node:assert/strict";
import { createClient } from "@connectrpc/connect";
import { createLogger } from "../../base/log.ts";
import { Health } from "../../proto/health_pb.ts";
import { createTtrpcTransport } from "../ttrpc/client.ts";
import { type Duplex, type Listener, writeAll } from "./duplex.ts";
import { findSerialPort, listenSerial } from "./serial_guest.ts";
import { connectSerial } from "./serial_host.ts";
import { defineService, serveTtrpc } from "../ttrpc/server.ts";

const never = new AbortController().signal;
const log = createLogger({ sink: () => {} });

/**
 * A virtio-serial port as QEMU has it: one host at a time, whose bytes queue up for the guest; a guest that reads while no
 * host is connected gets the end of the file, and goes on with the next host.
 */
class FakePort {
  #toGuest: Uint8Array[] = [];
  #host: { received: Uint8Array[]; wake?: (() => void) | undefined; isOpen: boolean } | undefined;
  #wakeGuest: (() => void) | undefined;
  #isClosed = false;

  guest: Duplex = {
    read: async (buffer) => {
      while (this.#toGuest.length === 0) {
        if (this.#isClosed) throw new Error("closed");
        if (this.#host === undefined) return null;
        await new Promise<void>((resolve) => this.#wakeGuest = resolve);
      }
      return take(this.#toGuest, buffer);
    },
    write: async (data) => {
      this.#host?.received.push(data.slice());
      this.#host?.wake?.();
      return data.length;
    },
    close: () => {
      this.#isClosed = true;
      this.#wakeGuest?.();
    },
    [Symbol.dispose]: () => {},
  };

  connect(): Duplex {
    const host: { received: Uint8Array[]; wake?: (() => void) | undefined; isOpen: boolean } = {
      received: [],
      isOpen: true,
    };
    this.#host = host;
    const close = () => {
      host.isOpen = false;
      if (this.#host === host) this.#host = undefined;
      host.wake?.();
      this.#wakeGuest?.();
    };
    return {
      read: async (buffer) => {
        while (host.received.length === 0) {
          if (!host.isOpen) return null;
          await new Promise<void>((resolve) => host.wake = resolve);
        }
        return take(host.received, buffer);
      },
      write: async (data) => {
        this.#toGuest.push(data.slice());
        this.#wakeGuest?.();
        return data.length;
      },
      close,
      [Symbol.dispose]: close,
    };
  }
}

function take(pieces: Uint8Array[], buffer: Uint8Array): number {
  const piece = pieces.shift()!;
  const taken = piece.subarray(0, buffer.length);
  buffer.set(taken);
  if (taken.length < piece.length) pieces.unshift(piece.subarray(taken.length));
  return taken.length;
}

async function accept(listener: Listener): Promise<Duplex> {
  const { value } = await listener[Symbol.asyncIterator]().next();
  return value;
}

async function readText(duplex: Duplex): Promise<string> {
  const buffer = new Uint8Array(100);
  const count = await duplex.read(buffer);
  return new TextDecoder().decode(buffer.subarray(0, count ?? 0));
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

Deno.test("connectSerial() gives both ends a clean stream, whatever was in the port before", async () => {
  const port = new FakePort();
  using listener = listenSerial(port.guest);
  const rawHost = port.connect();
  await writeAll(rawHost, bytes("half of a fra"));
  await writeAll(port.guest, bytes("an old answer"));
  using host = await connectSerial(rawHost, never);
  using guest = await accept(listener);
  await writeAll(host, bytes("ping"));
  assert.equal(await readText(guest), "ping");
  await writeAll(guest, Uint8Array.of(0xf5, 0x02, 0x41));
  const buffer = new Uint8Array(10);
  assert.equal(await host.read(buffer), 3);
  assert.deepEqual([...buffer.subarray(0, 3)], [0xf5, 0x02, 0x41]);
});

Deno.test("listenSerial() ends the connection when the host closes its end, and takes the next", async () => {
  const port = new FakePort();
  using listener = listenSerial(port.guest);
  const first = await connectSerial(port.connect(), never);
  using guestFirst = await accept(listener);
  first.close();
  assert.equal(await guestFirst.read(new Uint8Array(10)), null);
  await assert.rejects(guestFirst.write(bytes("late")), /not connected/);
  using second = await connectSerial(port.connect(), never);
  using guestSecond = await accept(listener);
  await writeAll(second, bytes("again"));
  assert.equal(await readText(guestSecond), "again");
  await assert.rejects(guestFirst.write(bytes("late")), /another connection/);
});

Deno.test("listenSerial() fails the connection when a new hello comes in its middle, as after a restore", async () => {
  const port = new FakePort();
  using listener = listenSerial(port.guest);
  const restored = port.connect();
  using _before = await connectSerial(restored, never);
  using guestBefore = await accept(listener);
  const pending = assert.rejects(guestBefore.read(new Uint8Array(10)), /another connection/);
  using after = await connectSerial(restored, never);
  await pending;
  using guestAfter = await accept(listener);
  await writeAll(guestAfter, bytes("new"));
  assert.equal(await readText(after), "new");
});

Deno.test("connectSerial() gives up with its signal while nobody answers", async () => {
  const stop = new AbortController();
  const connecting = connectSerial(new FakePort().connect(), stop.signal);
  stop.abort(new Error("too late"));
  await assert.rejects(connecting, /too late/);
});

Deno.test("serveTtrpc() on a serial port: calls of a host that went away are aborted, the next host is served", async () => {
  const port = new FakePort();
  const stop = new AbortController();
  const aborted = Promise.withResolvers<void>();
  const health = defineService(Health, {
    check: () => ({ status: 1 }),
    version: (_request, { signal }) => {
      signal.addEventListener("abort", () => aborted.resolve());
      return new Promise(() => {});
    },
  });
  const serving = serveTtrpc(listenSerial(port.guest), [health], { signal: stop.signal, log });
  {
    using transport = createTtrpcTransport(await connectSerial(port.connect(), never), { peer: "the agent" });
    const pending = assert.rejects(createClient(Health, transport).version({}), /the connection is closed/);
    await createClient(Health, transport).check({});
    transport[Symbol.dispose]();
    await pending;
    await transport.closed;
  }
  using transport = createTtrpcTransport(await connectSerial(port.connect(), never), { peer: "the agent" });
  assert.equal((await createClient(Health, transport).check({})).status, 1);
  await aborted.promise;
  stop.abort();
  await serving;
  transport[Symbol.dispose]();
  await transport.closed;
});

Deno.test("serveTtrpc() on a serial port answers the call that ends it", async () => {
  const port = new FakePort();
  const stop = new AbortController();
  const health = defineService(Health, {
    check: () => {
      stop.abort();
      return { status: 1 };
    },
  });
  const serving = serveTtrpc(listenSerial(port.guest), [health], { signal: stop.signal, log });
  using transport = createTtrpcTransport(await connectSerial(port.connect(), never), { peer: "the agent" });
  assert.equal((await createClient(Health, transport).check({})).status, 1);
  await serving;
  transport[Symbol.dispose]();
  await transport.closed;
});

Deno.test("findSerialPort() finds the device by the name of its port", () => {
  const root = Deno.makeTempDirSync();
  try {
    for (const [device, name] of [["vport1p1", "console.0"], ["vport1p2", "agent.0"]] as const) {
      Deno.mkdirSync(`${root}/sys/class/virtio-ports/${device}`, { recursive: true });
      Deno.writeTextFileSync(`${root}/sys/class/virtio-ports/${device}/name`, `${name}\n`);
    }
    assert.equal(findSerialPort("agent.0", root), `${root}/dev/vport1p2`);
    assert.throws(() => findSerialPort("agent.1", root), /Cannot find virtio-serial port "agent.1"/);
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
});
