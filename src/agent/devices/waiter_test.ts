import assert from "node:assert/strict";
import { errorCode } from "../../base/error.ts";
import type { DeviceAddress } from "./address.ts";
import { FakeUevents } from "./testing/fake_uevents.ts";
import { DeviceWaiter } from "./waiter.ts";

const LONG_MS = 60_000;
const never = new AbortController().signal;
const wait = { signal: never, timeoutMs: LONG_MS };
const CPU: DeviceAddress = { kind: "cpu", total: 1 };

/** A waiter on a kernel that tells what it is told, and a look that finds what was put there. */
class Bench {
  readonly uevents = new FakeUevents();
  readonly devices = new DeviceWaiter({ sys: "/none", listen: () => this.uevents.listen() });
  device: string | undefined;
  looks = 0;

  readonly look = (): string | undefined => {
    this.looks++;
    return this.device;
  };
}

Deno.test("DeviceWaiter.until() opens nothing for a device that is there", async () => {
  const bench = new Bench();
  bench.device = "cpu1";
  assert.equal(await bench.devices.until(CPU, bench.look, wait), "cpu1");
  assert.deepEqual([bench.looks, bench.uevents.opened], [1, 0]);
});

Deno.test("DeviceWaiter.until() looks again once it listens, so that nothing falls in between", async () => {
  const bench = new Bench();
  const devices = new DeviceWaiter({
    listen: () => {
      bench.device = "cpu1"; // it comes while the socket is being opened
      return bench.uevents.listen();
    },
  });
  assert.equal(await devices.until(CPU, bench.look, wait), "cpu1");
  assert.deepEqual([bench.looks, bench.uevents.open], [2, 0]);
});

Deno.test("DeviceWaiter.until() looks with each event of its kind, and with no other", async () => {
  const bench = new Bench();
  const found = bench.devices.until(CPU, bench.look, wait);
  await bench.uevents.tell({ subsystem: "net" });
  await bench.uevents.tell({ subsystem: "cpu", action: "remove" });
  assert.equal(bench.looks, 2);
  await bench.uevents.tell({ subsystem: "cpu" });
  assert.equal(bench.looks, 3);
  bench.device = "cpu1";
  await bench.uevents.tell({ subsystem: "cpu" });
  await bench.uevents.tell({ subsystem: "cpu" });
  assert.equal(await found, "cpu1");
  assert.equal(bench.looks, 4, "nothing is looked for that was found");
});

Deno.test("DeviceWaiter shares one socket between all who wait, and closes it with the last of them", async () => {
  const { devices, uevents } = new Bench();
  const first = new Bench();
  const second = new Bench();
  const waits = [devices.until(CPU, first.look, wait), devices.until({ kind: "memory" }, second.look, wait)];
  assert.deepEqual([uevents.opened, uevents.open], [1, 1]);
  first.device = "cpu1";
  await uevents.tell({ subsystem: "cpu" });
  assert.equal(await waits[0], "cpu1");
  assert.deepEqual([uevents.opened, uevents.open], [1, 1]);
  second.device = "memory8";
  await uevents.tell({ subsystem: "memory" });
  assert.equal(await waits[1], "memory8");
  assert.deepEqual([uevents.opened, uevents.open], [1, 0]);
  first.device = undefined;
  const again = devices.until(CPU, first.look, wait);
  assert.deepEqual([uevents.opened, uevents.open], [2, 1]);
  first.device = "cpu2";
  await uevents.tell({ subsystem: "cpu" });
  assert.equal(await again, "cpu2");
});

Deno.test("DeviceWaiter.until() hears also where it is asked in the moment in which the last one has found", async () => {
  const first = new Bench();
  const { devices, uevents } = first;
  const second = new Bench();
  let next: Promise<string> | undefined;
  const found = devices.until(CPU, () => {
    if (first.device !== undefined) queueMicrotask(() => next = devices.until({ kind: "memory" }, second.look, wait));
    return first.device;
  }, wait);
  first.device = "cpu1";
  await uevents.tell({ subsystem: "cpu" });
  await found;
  second.device = "memory8";
  await uevents.tell({ subsystem: "memory" });
  assert.equal(await next, "memory8");
  assert.deepEqual([second.looks, uevents.open], [3, 0], "a look, one when it listens, one with the event");
});

Deno.test("DeviceWaiter.until() says what it waited for, what is there and what it heard", async () => {
  const { devices, uevents, look } = new Bench();
  const found = devices.until({ kind: "net", mac: "02:00:00:00:00:01" }, look, { signal: never, timeoutMs: 30 });
  const failed = assert.rejects(found, (error: Error) => {
    assert.equal(errorCode(error), "NOT_FOUND");
    assert.equal(
      error.message,
      'Cannot find network interface with hardware address "02:00:00:00:00:01" within 30 ms ' +
        '(there: none; heard: 1 of its kind, the last "add@/devices/virtual/net/other")',
    );
    return true;
  });
  await uevents.tell({ subsystem: "net", devPath: "/devices/virtual/net/other" });
  await failed;
  assert.equal(uevents.open, 0);
});

Deno.test("DeviceWaiter.until() waits as long as the waiter was told, unless the caller says", async () => {
  const { uevents, look } = new Bench();
  const devices = new DeviceWaiter({ sys: "/none", listen: () => uevents.listen(), timeoutMs: 10 });
  await assert.rejects(
    devices.until(CPU, look, { signal: never }),
    /1 CPUs in all within 10 ms/,
  );
  await assert.rejects(devices.until(CPU, look, { signal: never, timeoutMs: 20 }), /within 20 ms/);
});

Deno.test("DeviceWaiter.until() looks a last time before it gives up, and now and then without an event", async () => {
  const bench = new Bench();
  const late = bench.devices.until(CPU, bench.look, { signal: never, timeoutMs: 20 });
  bench.device = "cpu1";
  assert.equal(await late, "cpu1");
  const busy = new Bench();
  const found = busy.devices.until(CPU, busy.look, wait);
  busy.device = "cpu2";
  assert.equal(await found, "cpu2");
});

Deno.test("DeviceWaiter.until() ends with the signal, at once if that has fired, and closes its socket", async () => {
  const { devices, uevents, look } = new Bench();
  await assert.rejects(devices.until(CPU, look, { ...wait, signal: AbortSignal.abort(new Error("gone")) }), /gone/);
  assert.equal(uevents.opened, 0);
  const end = new AbortController();
  const found = devices.until(CPU, look, { ...wait, signal: end.signal });
  end.abort(new Error("gone"));
  await assert.rejects(found, /gone/);
  assert.deepEqual([uevents.opened, uevents.open], [1, 0]);
});

Deno.test("DeviceWaiter.until() passes on what a look or the socket fails with", async () => {
  const { devices, uevents, look } = new Bench();
  let isBroken = false;
  const found = devices.until(CPU, () => {
    if (isBroken) throw new Error("EIO");
    return undefined;
  }, wait);
  isBroken = true;
  const failed = assert.rejects(found, /EIO/);
  await uevents.tell({ subsystem: "cpu" });
  await failed;
  const other = assert.rejects(devices.until(CPU, look, wait), /no netlink/);
  await uevents.fail(new Error("no netlink"));
  await other;
  assert.equal(uevents.open, 0);
});
