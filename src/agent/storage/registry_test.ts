import assert from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { abortable } from "../../base/async.ts";
import { errorCode } from "../../base/error.ts";
import { createLogger } from "../../base/log.ts";
import { type Storage, StorageSchema } from "../../proto/agent_pb.ts";
import { DeviceWaiter } from "../devices/waiter.ts";
import type { AttachedStorage, StorageGroup, StorageHandler } from "./handler.ts";
import { storageDrivers, StorageRegistry } from "./registry.ts";

const never = new AbortController().signal;
const context = {
  log: createLogger({ sink: () => {} }),
  containersDir: "/none",
  devices: new DeviceWaiter(),
  signal: never,
};

const ROOT = "/run/kata-containers";

function storage(fields: MessageInitShape<typeof StorageSchema>): [Storage] {
  return [create(StorageSchema, { driver: "fake", source: "s", mountPoint: `${ROOT}/m`, ...fields })];
}

/** Fakes the result of a handler, and notes its end. */
function attached(path: string, onEnd: () => void | Promise<void> = () => {}): AttachedStorage {
  return { path, [Symbol.asyncDispose]: async () => await onEnd() };
}

function openRegistry(events: string[]): StorageRegistry {
  return new StorageRegistry({
    fake: async ([{ mountPoint }]) => {
      events.push(`attach ${mountPoint.replace(ROOT, "")}`);
      return attached(mountPoint, () => void events.push(`detach ${mountPoint.replace(ROOT, "")}`));
    },
    broken: async () => {
      throw new Error("no such disk");
    },
    later: undefined,
  });
}

Deno.test("StorageRegistry attaches a mount point once and detaches it with its last user", async () => {
  const events: string[] = [];
  await using registry = openRegistry(events);
  const [first, second] = await Promise.all([
    registry.acquire(storage({}), context),
    registry.acquire(storage({}), context),
  ]);
  await first[Symbol.asyncDispose]();
  assert.deepEqual(events, ["attach /m"]);
  await second[Symbol.asyncDispose]();
  assert.deepEqual(events, ["attach /m", "detach /m"]);
});

Deno.test("StorageRegistry keeps a shared storage until the sandbox ends, and detaches newest first", async () => {
  const events: string[] = [];
  {
    await using registry = openRegistry(events);
    const user = await registry.acquire(storage({ shared: true }), context);
    await user[Symbol.asyncDispose]();
    await registry.acquire(storage({ mountPoint: `${ROOT}/n` }), context);
  }
  assert.deepEqual(events, ["attach /m", "attach /n", "detach /n", "detach /m"]);
});

Deno.test("StorageRegistry forgets what could not be attached", async () => {
  const events: string[] = [];
  await using registry = openRegistry(events);
  const message = `Cannot use storage "s" at "${ROOT}/m"`;
  await assert.rejects(registry.acquire(storage({ driver: "broken" }), context), { message });
  await registry.acquire(storage({}), context);
  assert.deepEqual(events, ["attach /m"]);
});

Deno.test.each([
  { differs: "source", fields: { source: "other" }, names: /"other" of driver "fake".*"s" of driver "fake" is there/ },
  { differs: "driver", fields: { driver: "broken" }, names: /"s" of driver "broken".*"s" of driver "fake" is there/ },
])(
  "StorageRegistry refuses a storage of another $differs at a mount point that is taken",
  async ({ fields, names }) => {
    const events: string[] = [];
    await using registry = openRegistry(events);
    const first = await registry.acquire(storage({}), context);
    await assert.rejects(registry.acquire(storage(fields), context), (error: Error) => {
      return errorCode(error) === "ALREADY_EXISTS" && names.test(error.message) && error.message.includes(`${ROOT}/m`);
    });
    await first[Symbol.asyncDispose]();
    assert.deepEqual(events, ["attach /m", "detach /m"], "who was refused is no user");
    if ("source" in fields) await registry.acquire(storage(fields), context);
  },
);

Deno.test("StorageRegistry hands a group to the handler of layers, and counts it by all of its sources", async () => {
  const groups: string[][] = [];
  const take: StorageHandler = async (group) => {
    groups.push(group.map(({ source }) => source));
    return attached("/rootfs");
  };
  await using registry = new StorageRegistry({ "erofs.multi-layer": take });
  const layer = (source: string) => storage({ driver: "scsi", source, options: ["X-kata.multi-layer=true"] })[0];
  const group: StorageGroup = [layer("0:1"), layer("0:2")];
  assert.equal((await registry.acquire(group, context)).path, "/rootfs");
  await registry.acquire(group, context);
  assert.deepEqual(groups, [["0:1", "0:2"]]);
  const isTaken = (error: unknown) => errorCode(error) === "ALREADY_EXISTS";
  await assert.rejects(registry.acquire([layer("0:1"), layer("0:3")], context), isTaken);
});

Deno.test("StorageRegistry makes nothing anew where something is on its way out, and keeps that a volume to its end", async () => {
  const events: string[] = [];
  const { promise: gone, resolve: letGo } = Promise.withResolvers<void>();
  const slow: StorageHandler = async ([{ mountPoint }]) => {
    events.push("attach");
    return attached(mountPoint, async () => {
      events.push("begin to detach");
      await gone;
      events.push("detached");
    });
  };
  await using registry = new StorageRegistry({ ephemeral: slow });
  const memory = storage({ driver: "ephemeral" });
  const user = await registry.acquire(memory, context);
  const leaving = user[Symbol.asyncDispose]();
  const next = registry.acquire(memory, context);
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.deepEqual(registry.guard(`${ROOT}/m/x`), { base: `${ROOT}/m`, links: "none", part: "x" });
  assert.deepEqual(events, ["attach", "begin to detach"]);
  letGo();
  await Promise.all([leaving, next]);
  assert.deepEqual(events, ["attach", "begin to detach", "detached", "attach"]);
});

Deno.test("StorageRegistry releases all storages at its end, whatever one of them does", async () => {
  const events: string[] = [];
  const take: StorageHandler = async ([{ source }]) =>
    attached(source, () => {
      events.push(source);
      if (source === "b") throw new Error("busy");
    });
  const registry = new StorageRegistry({ fake: take });
  for (const source of ["a", "b", "c"]) {
    await registry.acquire(storage({ source, mountPoint: `${ROOT}/${source}` }), context);
  }
  await assert.rejects(registry[Symbol.asyncDispose](), { message: "busy" });
  assert.deepEqual(events, ["c", "b", "a"]);
  await registry[Symbol.asyncDispose]();
  assert.equal(events.length, 3);
});

Deno.test("StorageRegistry tries again for a user who waits where the first one gives up", async () => {
  const signals: AbortSignal[] = [];
  const wait: StorageHandler = async ([{ mountPoint }], { signal }) => {
    signals.push(signal);
    if (signal === never) return attached(mountPoint);
    return await abortable(new Promise(() => {}), signal);
  };
  await using registry = new StorageRegistry({ fake: wait });
  const end = new AbortController();
  const first = assert.rejects(registry.acquire(storage({}), { ...context, signal: end.signal }));
  const second = registry.acquire(storage({}), context);
  end.abort(new Error("the caller has gone"));
  await first;
  assert.equal((await second).path, `${ROOT}/m`);
  assert.equal(signals.length, 2);
});

Deno.test.each([
  { driver: "later", code: "UNIMPLEMENTED" },
  { driver: "toString", code: "INVALID_ARGUMENT" },
  { driver: "9p", code: "INVALID_ARGUMENT" },
])("StorageRegistry answers $code for driver $driver, naming it", async ({ driver, code }) => {
  await using registry = openRegistry([]);
  await assert.rejects(registry.acquire(storage({ driver }), context), (error: Error) => {
    return errorCode(error) === code && error.message.includes(`"${driver}"`);
  });
});

Deno.test("storageDrivers() lists those that work", () => {
  assert.deepEqual(storageDrivers(), [
    "blk",
    "blk-ccw",
    "ephemeral",
    "local",
    "mmioblk",
    "overlayfs",
    "scsi",
    "virtio-fs",
    "watchable-bind",
  ]);
});

Deno.test("F2: StorageRegistry tells parts of volumes, which drivers then open beneath them", async () => {
  const places: unknown[] = [];
  const note: StorageHandler = async ([{ mountPoint }], { place }) => {
    places.push(place);
    return attached(mountPoint);
  };
  await using registry = new StorageRegistry({ local: note, ephemeral: note, overlayfs: note });
  const attach = (fields: MessageInitShape<typeof StorageSchema>) => registry.acquire(storage(fields), context);
  await attach({ driver: "ephemeral", mountPoint: "/run/kata-containers/v/" });
  await attach({ driver: "local", mountPoint: "/run/kata-containers/v/a/b" });
  await attach({ driver: "local", mountPoint: `${ROOT}/w/a/b`, driverOptions: ["io.katacontainers.volume.part=a/b"] });
  assert.deepEqual(places, [
    { base: "/run/kata-containers/v", links: "none" },
    { base: "/run/kata-containers/v", links: "none", part: "a/b" },
    { base: `${ROOT}/w`, links: "none", part: "a/b" },
  ]);
  assert.deepEqual(registry.guard(`${ROOT}/w/x`), { base: `${ROOT}/w`, links: "none", part: "x" });
  const isCode = (code: string) => (error: unknown) => errorCode(error) === code;
  for (const driver of ["ephemeral", "overlayfs"]) {
    await assert.rejects(attach({ driver, mountPoint: `${ROOT}/w/x` }), isCode("PERMISSION_DENIED"), driver);
  }
  const wrong = { driver: "local", mountPoint: `${ROOT}/x/a`, driverOptions: ["io.katacontainers.volume.part=b"] };
  await assert.rejects(attach(wrong), isCode("INVALID_ARGUMENT"));
  const all = { ...wrong, driverOptions: ["io.katacontainers.volume.part=kata-containers/x/a"] };
  await assert.rejects(attach(all), isCode("PERMISSION_DENIED"));
});

Deno.test("StorageRegistry takes storages at the places of a host with and without root's rights, and nowhere else", async () => {
  const events: string[] = [];
  await using registry = openRegistry(events);
  for (const place of ["shared/containers", "sandbox/shm", "c1/rootfs", "virtual-volumes/x"]) {
    await registry.acquire(storage({ mountPoint: `${ROOT}/${place}/` }), context);
    await registry.acquire(storage({ mountPoint: `/run/user/1000${ROOT}/${place}` }), context);
  }
  assert.equal(events.length, 8);
  const isDenied = (error: unknown) => errorCode(error) === "PERMISSION_DENIED";
  const elsewhere = [
    "/",
    "/etc",
    "/usr/lib",
    "/dev/shm",
    "/run",
    ROOT,
    `${ROOT}x/a`,
    `/run/user/x${ROOT}/a`,
    `/x${ROOT}/a`,
  ];
  for (const mountPoint of elsewhere) {
    await assert.rejects(registry.acquire(storage({ mountPoint }), context), isDenied, mountPoint);
  }
  assert.equal(events.length, 8);
});
