import assert from "node:assert/strict";
import { parse } from "smol-toml";
import { entries } from "./describe.ts";
import { HYPERVISORS } from "../tables.ts";
import { documents, shippedFile, wrap } from "./document.ts";
import { loadConfig } from "../load.ts";
import { defaultConfig } from "../schema.ts";
import { getKey, keyPaths, type Table } from "../table.ts";

const ROOT = new URL("../../..", import.meta.url);
const SHIPPED = new URL("config/configuration-qemu.toml", ROOT).pathname;

Deno.test.each(Object.keys(documents()))("%s is what the rows say: else run scripts/generate", (path) => {
  assert.equal(Deno.readTextFileSync(new URL(path, ROOT)), documents()[path]);
});

Deno.test("config/ holds what is written from the rows, and nothing else", () => {
  const names = [...Deno.readDirSync(new URL("config", ROOT))].map(({ name }) => `config/${name}`);
  assert.deepEqual(names.sort(), Object.keys(documents()).sort());
});

Deno.test.each(Object.keys(HYPERVISORS) as (keyof typeof HYPERVISORS)[])("shippedFile() of %s chooses it", (kind) => {
  assert.equal(getKey(parse(shippedFile(kind)), "runtime.hypervisor_name"), kind);
});

Deno.test("configuration-qemu.toml shows each key of the schema, with its default but for the guest's files", () => {
  const { config, warnings } = loadConfig({ commandLine: SHIPPED });
  assert.deepEqual(warnings, []);
  const { image, initrd, ...qemu } = config.hypervisor;
  assert.deepEqual([image, initrd], ["/usr/share/kata/root.erofs", "/usr/share/kata/initrd.cpio"]);
  assert.deepEqual({ ...config, hypervisor: { ...qemu, image: "", initrd: "" } }, defaultConfig());

  const { hypervisor: { kind, ...keys }, agent, runtime, factory } = defaultConfig();
  const all: Table = { hypervisor: { [kind]: keys }, agent: { kata: agent }, runtime, factory };
  assert.deepEqual(keyPaths(parse(Deno.readTextFileSync(SHIPPED))).sort(), keyPaths(all).sort());
});

Deno.test("config/README.md has a heading and the default of each key", () => {
  const text = documents()["config/README.md"]!;
  for (const { table, name } of entries()) {
    const section = text.split(`## [${table.path}]\n`)[1]?.split(/^## /m)[0] ?? "";
    assert.match(section, new RegExp(`^### ${name}\n\n[^]*?- Default: \``, "m"));
  }
});

Deno.test("wrap() breaks lines at spaces and keeps all words", () => {
  assert.deepEqual(wrap("ab cd efghij k", 5), ["ab cd", "efghij", "k"]);
});
