/** Each row is whole, and says the truth: what it calls built has a reader, what it calls planned is told. */
import assert from "node:assert/strict";
import { warnOfPlanned } from "./check.ts";
import { entries, type Entry } from "./reference/describe.ts";
import type { Key } from "./key.ts";
import { readValue } from "./read.ts";
import { defaultConfig } from "./schema.ts";
import { ALL_TABLES, type Config, HYPERVISORS, PLANNED_TABLES, tableOf, TABLES } from "./tables.ts";

const ALL = entries();
const SRC = new URL("../", import.meta.url);

function label({ table, name }: Entry): string {
  return `${table.path}.${name}`;
}

Deno.test("keys: each row says what its key does, in a sentence, and has a name of small letters", () => {
  for (const entry of ALL) {
    assert.match(entry.key.doc, /^[^\s].{8,}\.$|:$/s, label(entry));
    assert.ok(!/\n| {2}/.test(entry.key.doc), label(entry));
    assert.match(entry.name, /^[a-z][a-z0-9_]*$/);
  }
});

Deno.test("keys: each default, each shipped value and each choice is one that the row allows", () => {
  for (const entry of ALL) {
    const { key } = entry;
    const values = key.type === "choice" ? [...key.values, ...Object.keys(key.renamedValues ?? {})] : [];
    for (const value of [key.default, key.shipped, ...values]) {
      if (value !== undefined) readValue(key, value, label(entry));
    }
  }
});

Deno.test("keys: a number that has a bound is refused on its other side", () => {
  for (const entry of ALL) {
    const { key } = entry;
    if (key.type !== "integer" && key.type !== "number") continue;
    const step = key.type === "integer" ? 1 : 0.5;
    if (key.min !== undefined) assert.throws(() => readValue(key, key.min! - step, "x"), /must be >=/, label(entry));
    if (key.max !== undefined) assert.throws(() => readValue(key, key.max! + step, "x"), /must be <=/, label(entry));
    if (key.type === "integer") assert.throws(() => readValue(key, key.default + 0.5, "x"), /must be integer/);
    assert.throws(() => readValue(key, NaN, "x"), /must be number/);
  }
});

Deno.test("keys: a number whose name tells a unit has that unit, and memory is in MiB", () => {
  for (const entry of ALL) {
    const unit = entry.key.type === "integer" || entry.key.type === "number" ? entry.key.unit : undefined;
    if (entry.name.endsWith("_ms")) assert.equal(unit, "ms", label(entry));
    if (/_timeout(_sec)?$/.test(entry.name)) assert.equal(unit, "s", label(entry));
    if (/_(max)?memory$/.test(entry.name)) assert.equal(unit, "MiB", label(entry));
    if (/_(max)?vcpus$/.test(entry.name)) assert.equal(unit, "vCPUs", label(entry));
  }
});

Deno.test("keys: names, older names and annotations are each one key's", () => {
  const names = ALL.flatMap((entry) => [label(entry), ...(entry.key.renamedFrom ?? [])]);
  assert.equal(new Set(names).size, names.length);
  for (const { path, keys } of ALL_TABLES) {
    const annotations = Object.values(keys).flatMap(({ annotation }) => annotation?.name ?? []);
    assert.equal(new Set(annotations).size, annotations.length);
    for (const name of annotations) {
      assert.match(name, path.startsWith("hypervisor.") ? /^hypervisor\.\w+$/ : /^(runtime|agent|factory)\.\w+$/);
    }
  }
});

Deno.test("keys: hypervisor_name chooses among the tables that there are, and refuses those to come", () => {
  const { values, plannedValues = [] } = TABLES.runtime.keys.hypervisor_name;
  assert.deepEqual([...values], Object.keys(HYPERVISORS));
  assert.deepEqual(plannedValues.map((name) => `hypervisor.${name}`), PLANNED_TABLES);
  for (const [kind, { path, monitor }] of Object.entries(HYPERVISORS)) {
    assert.deepEqual([path, monitor], [`hypervisor.${kind}`, kind]);
  }
});

Deno.test("F3 keys: no annotation changes what names a program or a file of the host", () => {
  for (const entry of ALL) {
    if (String(entry.key.default).startsWith("/") || entry.key.shipped !== undefined) {
      assert.equal(entry.key.annotation, undefined, label(entry));
    }
  }
});

/** A value that is not the default. */
function another(key: Key): unknown {
  switch (key.type) {
    case "boolean":
      return !key.default;
    case "integer":
    case "number":
      return key.default + 1;
    case "text":
      return `${key.default}x`;
    case "texts":
      return [...key.default, "x"];
    case "choice":
      return key.values.find((value) => value !== key.default);
  }
}

Deno.test("keys: whoever asks for something of a planned key is warned, and of no other", () => {
  assert.deepEqual(warnOfPlanned(defaultConfig()), []);
  for (const table of ["hypervisor", ...Object.keys(TABLES)] as (keyof Config)[]) {
    for (const entry of entries([tableOf(defaultConfig(), table)])) {
      const config = defaultConfig();
      const value = another(entry.key);
      if (value === undefined) continue; // there is but one
      Object.assign(config[table], { [entry.name]: value });
      const expected = `Setting ${label(entry)} has no effect: it is not supported yet`;
      assert.deepEqual(warnOfPlanned(config), entry.key.status === "planned" ? [expected] : []);
    }
  }
});

Deno.test("keys: a value that is planned is refused by name", () => {
  for (const entry of ALL) {
    const planned = entry.key.type === "choice" ? entry.key.plannedValues ?? [] : [];
    for (const value of planned) {
      assert.throws(() => readValue(entry.key, value, label(entry)), {
        message: new RegExp(`^${label(entry)} "${value}" is not supported yet: it must be `),
      });
    }
  }
});

/** The product's sources, without what only reads, checks or describes the configuration. */
function sources(): string[] {
  const files = (directory: URL): string[] =>
    [...Deno.readDirSync(directory)].flatMap(({ name, isDirectory }) => {
      if (isDirectory) {
        return /^(keys|testdata|testing|proto|asked)$/.test(name) ? [] : files(new URL(`${name}/`, directory));
      }
      const isProduct = name.endsWith(".ts") && !/_test\.ts$|^conformance_|^fake_|_pb\.ts$/.test(name);
      const isCheck = /\/config\/((rules|reference)\/)?$/.test(directory.pathname) &&
        !/^(annotations|read|sizes)\.ts$/.test(name);
      return isProduct && !isCheck ? [Deno.readTextFileSync(new URL(name, directory))] : [];
    });
  return files(SRC).map((text) => text.replaceAll(/\/\*[^]*?\*\/|\/\/.*/g, ""));
}

/** Names of a table where it is read: variables of it, and types of parameters that are taken apart. */
const READERS: Readonly<Record<keyof Config, { variables: string; types: string }>> = {
  hypervisor: { variables: "hypervisor|qemu|config", types: "QemuConfig|QemuTable|CommonConfig|SizeKeys" },
  agent: { variables: "agent|config|options", types: "AgentConfig|AgentWords" },
  runtime: { variables: "runtime", types: "RuntimeConfig" },
  factory: { variables: "factory", types: "FactoryConfig" },
};

/** Whether a source reads a property of a table: `hypervisor.path`, `{ path } = config.hypervisor`, `{ path }: QemuConfig`. */
function reads(text: string, table: keyof Config, name: string): boolean {
  const { variables, types } = READERS[table];
  const access = new RegExp(String.raw`\b(?:${variables})\.${name}\b`);
  const taken = new RegExp(
    String.raw`\{[^{}]*\b${name}\b[^{}]*\}\s*(?::\s*(?:Pick<\s*)?(?:${types})\b|=\s*[\w.]*\b(?:${variables})\b)`,
  );
  const within = new RegExp(String.raw`\b(?:${variables}): \{[^{}]*\b${name}\b[^{}]*\}`);
  return access.test(text) || taken.test(text) || within.test(text);
}

Deno.test("keys: each built key has a reader in the sources, and each planned one has none", () => {
  const texts = sources();
  const lies: string[] = [];
  for (const table of ["hypervisor", ...Object.keys(TABLES)] as (keyof Config)[]) {
    for (const entry of entries([tableOf(defaultConfig(), table)])) {
      // A key with one value needs no reader: all other values are refused.
      const isFixed = entry.key.type === "choice" && entry.key.values.length === 1;
      const isRead = texts.some((text) => reads(text, table, entry.name));
      const isBuilt = entry.key.status !== "planned";
      if (isRead !== isBuilt && !(isFixed && isBuilt)) lies.push(`${label(entry)} is ${isRead ? "read" : "not read"}`);
    }
  }
  assert.deepEqual(lies, []);
});

Deno.test("keys: the search for readers knows a reader from a name that only looks alike", () => {
  assert.ok(reads("const a = config.hypervisor.path;", "hypervisor", "path"));
  assert.ok(reads("function f({ path, kernel }: QemuConfig) {}", "hypervisor", "kernel"));
  assert.ok(reads("const { log_level, enable_debug: is } = config.runtime;", "runtime", "enable_debug"));
  assert.ok(!reads("const { path } = source; a.path = file.path;", "hypervisor", "path"));
  assert.ok(!reads("if (config.agent.enable_debug) x();", "runtime", "enable_debug"));
});
