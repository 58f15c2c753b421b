import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeInotify, Inotify } from "./inotify.ts";

Deno.test("Inotify.events() tells what happens in a directory, in order", async () => {
  const path = Deno.makeTempDirSync({ prefix: "inotify_test-" });
  using _ = { [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }) };
  using inotify = new Inotify();
  const watch = inotify.watch(path, ["create", "closeWrite", "delete", "movedTo"]);
  const signal = AbortSignal.timeout(5000);
  const events = inotify.events({ signal });
  const first = events.next(); // waits before there is anything
  Deno.writeTextFileSync(`${path}/a`, "1");
  Deno.renameSync(`${path}/a`, `${path}/b`);
  Deno.mkdirSync(`${path}/c`);
  const seen = [(await first).value];
  for (let i = 0; i < 3; i++) seen.push((await events.next()).value);
  assert.deepEqual(seen.map((event) => [event.watch, event.kind, event.name, event.isDirectory]), [
    [watch, "create", "a", false],
    [watch, "closeWrite", "a", false],
    [watch, "movedTo", "b", false],
    [watch, "create", "c", true],
  ]);
  inotify.unwatch(watch);
  inotify.unwatch(watch);
  assert.equal((await events.next()).value.kind, "ignored");
});

Deno.test("Inotify.watch() names what it cannot watch", () => {
  using inotify = new Inotify();
  assert.throws(() => inotify.watch("/no/such", ["create"]), { message: "inotify_add_watch /no/such: ENOENT" });
});

Deno.test("decodeInotify() ends for any bytes, with a RangeError at worst", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
    try {
      decodeInotify(bytes);
    } catch (error) {
      assert.ok(error instanceof RangeError);
    }
  }));
});
