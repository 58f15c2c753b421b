import assert from "node:assert/strict";
import { nameServers } from "./guest_setup.ts";

function servers(source: string): string[] {
  return nameServers({ mounts: [{ destination: "/etc/resolv.conf", source }] });
}

Deno.test("nameServers() are the lines of the file that is mounted over /etc/resolv.conf", () => {
  const path = Deno.makeTempFileSync();
  Deno.writeTextFileSync(path, "nameserver 10.0.0.1\n\n  search a b \n");
  assert.deepEqual(servers(path), ["nameserver 10.0.0.1", "search a b"]);
  Deno.removeSync(path);
  assert.deepEqual(nameServers({ mounts: [] }), []);
});

Deno.test("F17: nameServers() waits for no fifo, reads no device and no file without an end", () => {
  const directory = Deno.makeTempDirSync();
  new Deno.Command("mkfifo", { args: [`${directory}/fifo`] }).outputSync();
  assert.deepEqual([servers(`${directory}/fifo`), servers("/dev/zero"), servers("/dev/null")], [[], [], []]);
  Deno.writeTextFileSync(`${directory}/long`, "nameserver 10.0.0.1\n".repeat(10_000));
  assert.throws(() => servers(`${directory}/long`), { name: "RangeError", message: /larger than 65536 bytes/ });
  assert.throws(() => servers(`${directory}/none`), { code: "ENOENT" });
  Deno.removeSync(directory, { recursive: true });
});
