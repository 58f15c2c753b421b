import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { StorageSchema } from "../../proto/agent_pb.ts";
import { driverOf, groupsOf } from "./groups.ts";

const LAYER = "X-kata.multi-layer=true";

function storage(source: string, driver: string, ...options: string[]) {
  return create(StorageSchema, { source, driver, options });
}

Deno.test("groupsOf() leaves storages alone, in their order, and takes the layers of an image together, the upper one first", () => {
  const storages = [
    storage("shm", "ephemeral"),
    storage("0:1", "scsi", LAYER, "X-kata.overlay-lower"),
    storage("data", "local"),
    storage("0:2", "scsi", LAYER, "X-kata.overlay-upper"),
    storage("x", "erofs.multi-layer"),
  ];
  const groups = groupsOf(storages);
  assert.deepEqual(groups.map((group) => group.map(({ source }) => source)), [["shm"], ["0:2", "0:1", "x"], ["data"]]);
  assert.deepEqual(groups.map(driverOf), ["ephemeral", "erofs.multi-layer", "local"]);
});

Deno.test("groupsOf() begins with the first layer where none is writable", () => {
  const [group] = groupsOf([storage("0:1", "blk", LAYER), storage("0:2", "blk", LAYER)]);
  assert.deepEqual(group?.map(({ source }) => source), ["0:1", "0:2"]);
});
