import assert from "node:assert/strict";
import { askedPage } from "./page.ts";

const PAGE = new URL("../../ASKED.md", import.meta.url);

Deno.test("src/ASKED.md is what the tables say: else run scripts/generate", () => {
  assert.equal(Deno.readTextFileSync(PAGE), askedPage());
});
