import assert from "node:assert/strict";
import type { Mount } from "../../oci/spec/spec.ts";
import { mappedId, splitMaps } from "./mapped.ts";

const UIDS = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
const GIDS = [{ containerID: 0, hostID: 200_000, size: 65_536 }];
const BIND: Mount = { destination: "/a", source: "/b", type: "bind", options: ["rbind", "ro"] };

Deno.test("pods A17: splitMaps() parts a mount from its maps, which the guest is not told", () => {
  assert.deepEqual(splitMaps(BIND), { mount: BIND });
  const maps = { uidMappings: UIDS, gidMappings: GIDS };
  assert.deepEqual(splitMaps({ ...BIND, ...maps }), { mount: BIND, maps: { ...maps, recursive: false } });
  const recursive = { ...BIND, ...maps, options: ["rbind", "ridmap", "ro"] };
  assert.deepEqual(splitMaps(recursive), { mount: BIND, maps: { ...maps, recursive: true } });
});

Deno.test("pods A17: splitMaps() takes the container's maps for a mount that asks for mapped ids and names none", () => {
  const asked = { ...BIND, options: ["rbind", "ro", "idmap"] };
  const linux = { uidMappings: UIDS, gidMappings: GIDS };
  assert.deepEqual(splitMaps(asked, linux), { mount: BIND, maps: { ...linux, recursive: false } });
  assert.throws(() => splitMaps(asked), /mapped ids need uidMappings and gidMappings/);
  assert.throws(() => splitMaps({ ...BIND, uidMappings: UIDS }), /mapped ids need/);
});

Deno.test("mappedId() says as whom an owner is seen, and -1 of one outside of the map", () => {
  const maps = [{ containerID: 0, hostID: 100_000, size: 2 }, { containerID: 10, hostID: 7, size: 1 }];
  assert.deepEqual([0, 1, 2, 10, 11].map((id) => mappedId(id, maps)), [100_000, 100_001, -1, 7, -1]);
});
