/** Callers with fewer rights than root has, or less memory than usual. */
import assert from "node:assert/strict";
import { Box, runUntraced } from "./runtime.ts";
import { test, testEach } from "./suite.ts";

testEach([
  { what: "a tmpfs that takes over the image's mode", options: [], seen: "751 0" },
  { what: "a tmpfs that starts as a copy of the image", options: ["tmpcopyup"], seen: "751 1" },
])("runk 11: $what, where the caller may trace nobody", async ({ options, seen }) => {
  await using box = new Box();
  Deno.mkdirSync(`${box.rootfs}/data`);
  Deno.writeTextFileSync(`${box.rootfs}/data/file`, "");
  Deno.chmodSync(`${box.rootfs}/data`, 0o751);
  box.spec.mounts.push({ destination: "/data", type: "tmpfs", source: "tmpfs", options });
  box.sh("echo $(stat -c %a /data) $(ls /data | wc -l)");
  assert.deepEqual(await runUntraced(box), [0, `${seen}\n`]);
});

test("runk 11: a tmpfs on what was made just now, where the caller may trace nobody", async () => {
  await using box = new Box();
  box.spec.mounts.push({ destination: "/new", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup"] });
  box.sh("stat -c %a /new");
  assert.deepEqual(await runUntraced(box), [0, "1777\n"]);
});
