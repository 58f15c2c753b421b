import assert from "node:assert/strict";
import { mountMapped, takeMaps } from "./mapped.ts";

Deno.test("pods A17: takeMaps() takes the maps of a snapshot out of its options", () => {
  assert.deepEqual(takeMaps(["lowerdir=/a"]), { options: ["lowerdir=/a"] });
  const maps = {
    uidMappings: [{ containerID: 0, hostID: 100_000, size: 65_536 }],
    gidMappings: [{ containerID: 0, hostID: 5, size: 1 }, { containerID: 1, hostID: 7, size: 2 }],
  };
  const options = ["uidmap=0:100000:65536", "lowerdir=/a", "gidmap=0:5:1,1:7:2"];
  assert.deepEqual(takeMaps(options), { maps, options: ["lowerdir=/a"] });
});

Deno.test("pods A17: takeMaps() refuses half of the maps, and what is no map", () => {
  for (const options of [["uidmap=0:1:1"], ["uidmap=0:1", "gidmap=0:1:1"], ["uidmap=", "gidmap=0:1:1"]]) {
    assert.throws(() => takeMaps(options), { code: "INVALID_ARGUMENT" }, options.join());
  }
});

Deno.test.each([
  { type: "ext4", options: ["rw"] },
  { type: "tmpfs", options: [] },
  { type: "overlay", options: ["upperdir=/lowerdir=", "workdir=/w"] },
])("mountMapped() refuses what has no layers to map, $type with options $options, and mounts nothing", (asked) => {
  const stage = Deno.makeTempDirSync({ prefix: "kata-mapped-" });
  try {
    const map = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
    const maps = { uidMappings: map, gidMappings: map };
    const act = () => mountMapped({ ...asked, source: "none" }, { maps, stage });
    assert.throws(act, { code: "UNIMPLEMENTED", message: new RegExp(`file system "${asked.type}" has no layers`) });
  } finally {
    Deno.removeSync(stage);
  }
});
