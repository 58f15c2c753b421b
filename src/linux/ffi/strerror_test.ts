import assert from "node:assert/strict";
import { describeErrnos } from "./strerror.ts";

Deno.test("describeErrnos() puts words for what ends a part of the chain", () => {
  const text = "Cannot start: open /x: ENOENT (then, while cleaning up: rmdir /y: EBUSY): EACCES; mount: EPERM";
  const words =
    "Cannot start: open /x: no such file or directory (then, while cleaning up: rmdir /y: device or resource busy): permission denied; " +
    "mount: operation not permitted";
  assert.equal(describeErrnos(text), words);
});

Deno.test("describeErrnos() leaves names that are part of a path, or none of an error", () => {
  for (const text of ["open /ENOENT/x", "user EACCES is unknown: EVERY", 'Cannot use "x: ENOENT y"']) {
    assert.equal(describeErrnos(text), text);
  }
});
