import assert from "node:assert/strict";
import { formatTable } from "./output.ts";

Deno.test("formatTable() aligns columns and trims line ends", () => {
  assert.equal(
    formatTable([["ID", "STATUS"], ["a-long-container", "up"]]),
    "ID                 STATUS\na-long-container   up\n",
  );
});
