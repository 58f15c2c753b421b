import assert from "node:assert/strict";
import { errorChain, errorCode } from "../../base/error.ts";
import { createLogger } from "../../base/log.ts";
import type { Device, GuestAddress } from "../../hypervisor/device.ts";
import type { Hotplug } from "../../hypervisor/hypervisor.ts";
import { BlockDevices, type DiskRequest } from "./block_devices.ts";

const log = createLogger({ sink: () => {} });

/** A monitor that notes what it is told, and files to plug. */
class Box implements Disposable, Hotplug {
  readonly path = Deno.makeTempDirSync({ prefix: "kata-disks-" });
  readonly events: string[] = [];
  readonly end = new AbortController();
  /** Awaited before each answer. */
  answer: Promise<void> = Promise.resolve();
  /** Message of the error by which the next calls fail. */
  failure: string | undefined;
  readonly disks = new BlockDevices({
    vm: { name: "fake", hotplug: this },
    signal: this.end.signal,
    log,
    unplugMs: 50,
  });

  file(name: string): string {
    Deno.writeTextFileSync(`${this.path}/${name}`, name);
    return `${this.path}/${name}`;
  }

  acquire(name: string, options: Partial<DiskRequest> = {}) {
    const path = `${this.path}/${name}`;
    return this.disks.acquire({ path, readOnly: false, user: "u", ...options });
  }

  async plug(device: Device): Promise<GuestAddress> {
    assert.ok(device.kind === "block");
    this.events.push(`plug ${device.id} ${device.readOnly ? "ro" : "rw"} ${Deno.readTextFileSync(device.path)}`);
    await this.#step();
    return { bus: "scsi", id: Number(device.id.slice("disk".length)), lun: 0 };
  }

  async unplug(id: string, options: { signal?: AbortSignal } = {}): Promise<void> {
    this.events.push(`unplug ${id}`);
    await Promise.race([
      this.#step(),
      new Promise((_, reject) => options.signal?.addEventListener("abort", () => reject(options.signal!.reason))),
    ]);
  }

  async #step(): Promise<void> {
    await this.answer;
    if (this.failure !== undefined) throw new Error(this.failure);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(() => assert.fail("it went well"), (error) => error);
}

Deno.test("BlockDevices plugs a file once, whatever its path, and unplugs it when its last user lets go, once", async () => {
  using box = new Box();
  const path = box.file("a");
  Deno.linkSync(path, `${box.path}/hard`);
  Deno.symlinkSync("a", `${box.path}/soft`);
  const [one, two, three] = await Promise.all(["a", "hard", "soft"].map((name) => box.acquire(name)));
  assert.deepEqual(box.events, ["plug disk0 rw a"]);
  assert.deepEqual([two!.address, three!.address], [one!.address, one!.address]);
  for (const disk of [one!, one!, two!]) await disk[Symbol.asyncDispose]();
  assert.equal(box.events.length, 1);
  await three![Symbol.asyncDispose]();
  assert.deepEqual(box.events.slice(1), ["unplug disk0"]);
});

Deno.test("BlockDevices plugs what was opened, though the path leads elsewhere by then", async () => {
  using box = new Box();
  box.file("a");
  box.file("b");
  const { promise, resolve } = Promise.withResolvers<void>();
  box.answer = promise;
  const making = box.acquire("a");
  Deno.renameSync(`${box.path}/b`, `${box.path}/a`);
  const other = box.acquire("a");
  resolve();
  assert.notDeepEqual((await making).address, (await other).address);
  assert.deepEqual(box.events, ["plug disk0 rw a", "plug disk1 rw b"]);
});

Deno.test("BlockDevices lets readers use a disk that others write, and no writer one that is there for reading", async () => {
  using box = new Box();
  box.file("a");
  await using _writer = await box.acquire("a");
  await using _reader = await box.acquire("a", { readOnly: true });
  box.file("b");
  await using _only = await box.acquire("b", { readOnly: true, user: 'volume "/data"' });
  const error = await failureOf(box.acquire("b", { user: "the late" }));
  assert.equal(errorCode(error), "FAILED_PRECONDITION");
  assert.match(errorChain(error), /^Cannot use disk ".*\/b" for the late: .* for reading only, for volume "\/data"$/);
});

Deno.test("BlockDevices refuses by name: no disk, no file, and a monitor that takes none", async () => {
  using box = new Box();
  await assert.rejects(box.acquire(""), (error) => errorCode(error) === "INVALID_ARGUMENT");
  await assert.rejects(box.acquire("none"), { message: `Cannot use disk "${box.path}/none" for u` });
  const path = box.file("a");
  const disks = new BlockDevices({ vm: { name: "fc" }, signal: box.end.signal, log });
  const error = await failureOf(disks.acquire({ path, readOnly: true, user: "u" }));
  assert.equal(errorCode(error), "UNIMPLEMENTED");
  assert.match(errorChain(error), /monitor "fc" takes no device while its VM runs/);
});

Deno.test("BlockDevices plugs anew what could not be plugged, or is leaving", async () => {
  using box = new Box();
  box.file("a");
  box.failure = "no";
  await assert.rejects(box.acquire("a"), (error) => errorChain(error).endsWith(" for u: no"));
  box.failure = undefined;
  const disk = await box.acquire("a");
  const { promise, resolve } = Promise.withResolvers<void>();
  box.answer = promise;
  const released = disk[Symbol.asyncDispose]();
  const again = box.acquire("a");
  await Promise.resolve();
  assert.deepEqual(box.events.at(-1), "unplug disk1");
  resolve();
  await released;
  assert.deepEqual((await again).address, { bus: "scsi", id: 2, lun: 0 });
});

Deno.test("BlockDevices asks a disk that the guest did not let go of once more before its next use", async () => {
  using box = new Box();
  box.file("a");
  const disk = await box.acquire("a");
  box.answer = new Promise(() => {});
  await assert.rejects(async () => await disk[Symbol.asyncDispose](), {
    message: `Cannot take disk "${box.path}/a" out of the machine`,
  });
  box.answer = Promise.resolve();
  const again = await box.acquire("a");
  assert.deepEqual(box.events.slice(1).map((event) => event.split(" ").slice(0, 2).join(" ")), [
    "unplug disk0",
    "unplug disk0",
    "plug disk1",
  ]);
  await again[Symbol.asyncDispose]();
});

Deno.test("BlockDevices leaves its disks to a machine that ends, also one that is leaving", async () => {
  using box = new Box();
  box.file("a");
  box.file("b");
  const [one, two] = [await box.acquire("a"), await box.acquire("b")];
  box.answer = new Promise(() => {});
  const leaving = one[Symbol.asyncDispose]();
  box.end.abort();
  await leaving;
  await two[Symbol.asyncDispose]();
  assert.deepEqual(box.events.slice(2), ["unplug disk0"]);
});
