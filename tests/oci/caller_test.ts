/** Callers with fewer rights than root has, or less memory than usual. */
import assert from "node:assert/strict";
import { finish } from "../support/command.ts";
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

testEach([{ kib: 16_000_000 }, { kib: 64_000_000 }])(
  "runk 35: with an address space of $kib KiB it runs, or says in one line why not",
  async ({ kib }) => {
    await using box = new Box();
    box.sh("echo ran").save();
    const script = `ulimit -v ${kib}; exec "$@" >${box.dir}/out 2>&1`;
    const { code } = await finish("sh", {
      args: ["-c", script, "sh", ...box.words(["run", "--bundle", box.bundle, box.id()])],
    });
    const output = Deno.readTextFileSync(`${box.dir}/out`);
    if (code === 0) assert.equal(output, "ran\n");
    else {
      assert.equal(code, 1);
      assert.match(output, /^runk: Cannot start with an address space of at most 16000000 KiB .*\n$/);
    }
  },
);
