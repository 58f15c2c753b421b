import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { StorageSchema } from "../proto/agent_pb.ts";
import { STORAGE_DRIVER } from "./names.ts";
import { type Storage, storagesToWire } from "./storage.ts";

function overWire(storage: Storage) {
  const [message] = storagesToWire([storage]);
  const { $typeName: _, ...fields } = fromBinary(
    StorageSchema,
    toBinary(StorageSchema, create(StorageSchema, message)),
  );
  return fields;
}

Deno.test("storagesToWire() tells the agent every field of a storage", () => {
  const storage: Required<Storage> = {
    driver: STORAGE_DRIVER.ephemeral,
    driverOptions: ["a=b"],
    source: "tmpfs",
    fstype: "tmpfs",
    options: ["mode=755", "size=1"],
    mountPoint: "/run/x",
    shared: true,
  };
  assert.deepEqual(overWire(storage), storage);
});

Deno.test("storagesToWire() writes what a storage lacks as the zero of its type", () => {
  const storage: Storage = { driver: STORAGE_DRIVER.local, source: "local", options: [], mountPoint: "/run/x" };
  assert.deepEqual(overWire(storage), { ...storage, driverOptions: [], fstype: "", shared: false });
});
