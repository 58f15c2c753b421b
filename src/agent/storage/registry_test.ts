import assert from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { errorCode } from "../../base/error.ts";
import { createLogger } from "../../base/log.ts";
import { type Storage, StorageSchema } from "../../proto/agent_pb.ts";
import type { Places } from "./handler.ts";
import { storageDrivers, StorageRegistry } from "./registry.ts";

const context = { log: createLogger({ sink: () => {} }), containersDir: "/none" };

const ROOT = "/run/kata-containers";

function storage(fields: MessageInitShape<typeof StorageSchema>): Storage {
  return create(StorageSchema, { driver: "fake", source: "s", mountPoint: `${ROOT}/m`, ...fields });
}

function openRegistry(events: string[]): StorageRegistry {
  return new StorageRegistry({
    fake: ({ mountPoint }) => {
      events.push(`attach ${mountPoint.replace(ROOT, "")}`);
      return { [Symbol.dispose]: () => void events.push(`detach ${mountPoint.replace(ROOT, "")}`) };
    },
    broken: () => {
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
  assert.deepEqual(storageDrivers(), ["ephemeral", "local", "overlayfs", "virtio-fs"]);
});

Deno.test("F2: StorageRegistry tells parts of volumes, which drivers then open beneath them", async () => {
  const places: unknown[] = [];
  const note = (_: Storage, { place }: Places) => {
    places.push(place);
    return new DisposableStack();
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
