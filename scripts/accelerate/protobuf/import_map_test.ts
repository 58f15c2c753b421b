import assert from "node:assert/strict";
import { guestImportMap } from "./import_map.ts";

const LIBRARY = { "@bufbuild/protobuf/codegenv2": "npm:codegenv2", "@bufbuild/protobuf/wkt": "npm:wkt" };

Deno.test("guestImportMap() replaces the library's modules for all but this folder", () => {
  const { imports, scopes } = guestImportMap({ other: "npm:other", ...LIBRARY });
  assert.equal(imports.other, "npm:other");
  assert.match(imports["@bufbuild/protobuf/codegenv2"]!, /^file:.*descriptor\.ts$/);
  assert.match(imports["@bufbuild/protobuf/wkt"]!, /^file:.*well_known\.ts$/);
  assert.deepEqual(scopes, { [new URL("./", import.meta.url).href]: LIBRARY });
});

Deno.test("guestImportMap() refuses settings that do not name a module", () => {
  assert.throws(() => guestImportMap({ "@bufbuild/protobuf/wkt": "npm:wkt" }), /Cannot replace .*codegenv2/);
});
