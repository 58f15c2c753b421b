/** Holds the import table of the design: who may import whom. Reads it off `deno info --json main.ts`. */
import assert from "node:assert/strict";

const GROUND = ["base", "proto", "linux", "rpc"];
const DOMAIN = ["config", "oci", "hypervisor", "resources", "sandbox"];

/** What each folder of src/ may import besides itself. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  base: [],
  proto: [],
  linux: ["base"],
  config: ["base", "linux"], // whose a file is, linux knows
  rpc: ["base", "proto"],
  oci: ["base", "proto", "linux"],
  hypervisor: ["base", "proto", "linux", "rpc", "config"],
  resources: ["base", "proto", "linux", "rpc", "config", "oci", "hypervisor"],
  sandbox: [...GROUND, ...DOMAIN],
  agent: ["base", "proto", "linux", "rpc", "oci"],
  shim: [...GROUND, ...DOMAIN],
  cli: [...GROUND, ...DOMAIN],
};

interface Module {
  specifier: string;
  dependencies?: { specifier: string; code?: { specifier: string }; type?: { specifier: string } }[];
}

const root = new URL("../", import.meta.url).href;

async function moduleGraph(entry: string): Promise<Module[]> {
  const { stdout, success } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", entry],
    cwd: new URL(root),
    stderr: "inherit",
  }).output();
  assert.ok(success, `deno info --json ${entry} failed`);
  return JSON.parse(new TextDecoder().decode(stdout)).modules;
}

/** The folder below src/ that a module belongs to; undefined outside src/. */
function folderOf(specifier: string): string | undefined {
  if (!specifier.startsWith(`${root}src/`)) return undefined;
  return specifier.slice(`${root}src/`.length).split("/")[0];
}

function violations(modules: readonly Module[]): string[] {
  return modules.flatMap(({ specifier, dependencies = [] }) => {
    const from = folderOf(specifier);
    if (from === undefined) return [];
    return dependencies.flatMap(({ code, type }) => {
      const target = (code ?? type)?.specifier ?? "";
      const to = folderOf(target);
      if (to === undefined && !target.startsWith(root)) return []; // a library
      if (to !== undefined && (to === from || MAY_IMPORT[from]?.includes(to))) return [];
      return [`${specifier.slice(root.length)} imports ${target.slice(root.length)}`];
    });
  });
}

Deno.test("layers: every import is allowed by the table of the design", async () => {
  assert.deepEqual(violations(await moduleGraph("main.ts")), []);
});

Deno.test("layers: every folder of src/ is in the table", () => {
  const folders = [...Deno.readDirSync(new URL("../src", import.meta.url))].filter((e) => e.isDirectory).map((e) =>
    e.name
  );
  assert.deepEqual(folders.filter((folder) => !(folder in MAY_IMPORT)), []);
});

Deno.test("layers: a forbidden import is found", () => {
  const modules = [{
    specifier: `${root}src/linux/a.ts`,
    dependencies: [{ specifier: "../shim/b.ts", code: { specifier: `${root}src/shim/b.ts` } }],
  }];
  assert.deepEqual(violations(modules), ["src/linux/a.ts imports src/shim/b.ts"]);
});

Deno.test("layers: the agent loads no node: module, which would cost the guest a second", async () => {
  const node = (await moduleGraph("src/agent/main.ts")).filter(({ specifier }) => specifier.startsWith("node:"));
  assert.deepEqual(node.map(({ specifier }) => specifier), []);
});
