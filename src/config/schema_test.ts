import assert from "node:assert/strict";
import { parse } from "smol-toml";
import { loadConfig } from "./load.ts";
import { defaultConfig } from "./schema.ts";
import { keyPaths, type Table } from "./table.ts";

const SHIPPED = new URL("../../config/configuration-qemu.toml", import.meta.url).pathname;

Deno.test("configuration-qemu.toml shows each key of the schema, with its default but for the guest's files", () => {
  const { config, warnings } = loadConfig({ commandLine: SHIPPED });
  assert.deepEqual(warnings, []);
  const { image, initrd, ...qemu } = config.hypervisor;
  assert.deepEqual([image, initrd], ["/usr/share/kata/root.erofs", "/usr/share/kata/initrd.cpio"]);
  assert.deepEqual({ ...config, hypervisor: { ...qemu, image: "", initrd: "" } }, defaultConfig());

  const { hypervisor, agent, runtime, factory } = defaultConfig();
  const all: Table = { hypervisor: { qemu: hypervisor }, agent: { kata: agent }, runtime, factory };
  assert.deepEqual(keyPaths(parse(Deno.readTextFileSync(SHIPPED))).sort(), keyPaths(all).sort());
});
