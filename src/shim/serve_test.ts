import assert from "node:assert/strict";
import { listenForOwner } from "./serve.ts";

Deno.test("F17: listenForOwner() makes a socket that is nobody else's at once, whatever the umask, which it leaves", () => {
  const directory = Deno.makeTempDirSync({ prefix: "kata-serve-" });
  const before = Deno.umask(0);
  try {
    using _listener = listenForOwner(`unix://${directory}/s`);
    assert.equal(Deno.lstatSync(`${directory}/s`).mode! & 0o777, 0o600);
    assert.throws(() => listenForOwner(`unix://${directory}/s`));
    assert.equal(Deno.umask(), 0);
  } finally {
    Deno.umask(before);
    Deno.removeSync(directory, { recursive: true });
  }
});
