import assert from "node:assert/strict";
import { verifyId } from "./id.ts";

Deno.test.each([{ id: "a" }, { id: "pod_1.web-2" }, { id: "0123456789abcdef" }])(
  "verifyId($id) returns the id",
  ({ id }) => assert.equal(verifyId(id), id),
);

Deno.test.each([{ id: "" }, { id: ".." }, { id: "a/b" }, { id: "-x" }, { id: "a\n" }, { id: "x".repeat(257) }])(
  "verifyId($id) is refused",
  ({ id }) => assert.throws(() => verifyId(id, "exec"), { code: "INVALID_ARGUMENT", message: /exec id/ }),
);
