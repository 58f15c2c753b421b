import assert from "node:assert/strict";
import { defaultConfig } from "../../config/schema.ts";
import { nameServers, setUpGuest } from "./guest_setup.ts";

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

Deno.test.each([{ isRestored: false }, { isRestored: true }])(
  "pods B15: setUpGuest() sets the clock, also after a boot, whose clock has whole seconds only ($isRestored)",
  async ({ isRestored }) => {
    const calls: string[] = [];
    const before = Date.now();
    const note = (call: string) => Promise.resolve(void calls.push(call));
    const machine = {
      create: () => note("create"),
      setClock: (time: number) => {
        assert.ok(time >= before && time <= Date.now());
        return note("setClock");
      },
      seed: () => note("seed"),
    };
    const network = { interfaces: [], routes: [], neighbors: [], rules: [] };
    const vm = { snapshot: { isRestored, save: () => Promise.resolve() } };
    const setup = { id: "s1", spec: { ociVersion: "1.2.0" }, config: defaultConfig(), network, vm };
    // deno-lint-ignore no-explicit-any -- the calls and fields that it uses, and no others
    await setUpGuest({ machine, network: {} } as any, setup as any);
    assert.deepEqual(calls.sort(), isRestored ? ["create", "seed", "setClock"] : ["create", "setClock"]);
  },
);
