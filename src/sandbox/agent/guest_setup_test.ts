import assert from "node:assert/strict";
import { defaultConfig } from "../../config/schema.ts";
import { setUpGuest } from "./guest_setup.ts";

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
    const resolvConf = { nameServers: () => [] };
    const setup = { id: "s1", spec: { ociVersion: "1.2.0" }, resolvConf, config: defaultConfig(), network, vm };
    // deno-lint-ignore no-explicit-any -- the calls and fields that it uses, and no others
    await setUpGuest({ machine, network: {} } as any, setup as any);
    assert.deepEqual(calls.sort(), isRestored ? ["create", "seed", "setClock"] : ["create", "setClock"]);
  },
);
