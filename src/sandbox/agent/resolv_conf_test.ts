import assert from "node:assert/strict";
import { ResolvConf } from "./resolv_conf.ts";

function servers(source: string): string[] {
  using file = new ResolvConf({ mounts: [{ destination: "/etc/resolv.conf", source }] });
  return file.nameServers();
}

Deno.test("ResolvConf.nameServers() are the lines of the file that is mounted over /etc/resolv.conf", () => {
  const path = Deno.makeTempFileSync();
  Deno.writeTextFileSync(path, "nameserver 10.0.0.1\n\n  search a b \n");
  assert.deepEqual(servers(path), ["nameserver 10.0.0.1", "search a b"]);
  Deno.removeSync(path);
  assert.deepEqual(new ResolvConf({ mounts: [] }).nameServers(), []);
});

Deno.test("F17: ResolvConf.nameServers() waits for no fifo, reads no device and no file without an end", () => {
  const directory = Deno.makeTempDirSync();
  new Deno.Command("mkfifo", { args: [`${directory}/fifo`] }).outputSync();
  assert.deepEqual([servers(`${directory}/fifo`), servers("/dev/zero"), servers("/dev/null")], [[], [], []]);
  Deno.writeTextFileSync(`${directory}/long`, "nameserver 10.0.0.1\n".repeat(10_000));
  assert.throws(() => servers(`${directory}/long`), { name: "RangeError", message: /larger than 65536 bytes/ });
  assert.throws(() => servers(`${directory}/none`), { code: "ENOENT" });
  Deno.removeSync(directory, { recursive: true });
});

Deno.test("atk3 3: ResolvConf reads what is written into the file later, and never what its name has come to mean", () => {
  const directory = Deno.makeTempDirSync();
  const [path, victim] = [`${directory}/resolv.conf`, `${directory}/victim`];
  Deno.writeTextFileSync(path, "nameserver 10.0.0.1\n");
  Deno.writeTextFileSync(victim, "secret\n");
  using file = new ResolvConf({ mounts: [{ destination: "/etc/resolv.conf", source: path }] });
  Deno.writeTextFileSync(path, "nameserver 127.0.0.11\n");
  assert.deepEqual(file.nameServers(), ["nameserver 127.0.0.11"]);
  Deno.removeSync(path);
  Deno.symlinkSync(victim, path);
  assert.deepEqual(file.nameServers(), ["nameserver 127.0.0.11"]);
  Deno.removeSync(directory, { recursive: true });
});
