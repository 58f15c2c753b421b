/**
 * Holds the house together: who may import whom, which libraries a folder may use, no circles among files, no test support
 * in the product. Reads it off `deno info --json`. `src/README.md` has the picture.
 */
import assert from "node:assert/strict";
import { isTestSupport, ROOT, sources } from "./house.ts";

const GROUND = ["base", "proto", "linux", "rpc"];
const CONTRACTS = ["agent_api", "shim_api"];
const DOMAIN = ["config", "systemd", "oci", "hypervisor", "resources", "sandbox"];

/**
 * Folders that product code of each folder of src/, and the tests in it, may import besides itself. A room with a row
 * of its own is held to that one.
 */
const MAY_IMPORT: Record<string, readonly string[]> = {
  base: [],
  proto: [],
  linux: ["base"],
  config: ["base", "linux"], // whose a file is, linux knows
  rpc: ["base", "proto"],
  systemd: ["base", "linux"],
  oci: ["base", "proto", "linux", "systemd"],
  agent_api: ["base", "proto", "rpc", "oci"],
  shim_api: ["base", "linux"], // whose a socket is, linux knows
  hypervisor: ["base", "proto", "linux", "rpc", "agent_api", "config"],
  resources: ["base", "linux", "agent_api", "config", "oci", "hypervisor"],
  sandbox: ["base", "linux", "agent_api", ...DOMAIN],
  "sandbox/agent": [...GROUND, "agent_api", ...DOMAIN], // the only room of the domain that sees the agent's messages
  agent: ["base", "proto", "linux", "rpc", "agent_api", "oci"],
  shim: [...GROUND, ...CONTRACTS, ...DOMAIN],
  cli: [...GROUND, ...CONTRACTS, ...DOMAIN],
};

const PROTOBUF = "@bufbuild/protobuf";
const CONNECT = "@connectrpc/connect";

/** The packages that product code of each folder may import. */
const MAY_USE: Record<string, readonly string[]> = {
  proto: [PROTOBUF],
  rpc: [PROTOBUF, CONNECT],
  config: ["smol-toml"],
  agent_api: [PROTOBUF],
  "sandbox/agent": [PROTOBUF],
  agent: [PROTOBUF, CONNECT, "smol-toml"],
  shim: [PROTOBUF, CONNECT],
  cli: ["commander"],
  scripts: [CONNECT, PROTOBUF], // protobuf: accelerate/protobuf, in its place
};

const root = ROOT.href;

interface Module {
  specifier: string;
  dependencies?: { specifier: string; code?: { specifier: string }; type?: { specifier: string } }[];
}

/** Each file with what it imports: a path in the repository, or what a library is called. */
type Graph = ReadonlyMap<string, readonly string[]>;

async function moduleGraph(entry: string): Promise<Graph> {
  const { stdout, success } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "--config", "deno.json", entry],
    cwd: new URL(root),
    stderr: "inherit",
  }).output();
  assert.ok(success, `deno info --json ${entry} failed`);
  return graphOf(JSON.parse(new TextDecoder().decode(stdout)).modules);
}

/** Also what is loaded when it is needed (`import()`) counts. */
function graphOf(modules: readonly Module[]): Graph {
  const short = (specifier: string) => specifier.startsWith(root) ? specifier.slice(root.length) : specifier;
  return new Map(
    modules.map(({ specifier, dependencies = [] }) => [
      short(specifier),
      dependencies.map(({ code, type }) => short((code ?? type)?.specifier ?? "")).filter((target) => target !== ""),
    ]),
  );
}

/** All files of the house, those of `tests/` and `scripts/` too. */
async function wholeGraph(): Promise<Graph> {
  const entry = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    const files = ["src", "tests", "scripts"].flatMap((folder) => [...sources(folder)]);
    await Deno.writeTextFile(entry, ["main.ts", ...files].map((file) => `import "${root}${file}";\n`).join(""));
    return await moduleGraph(entry);
  } finally {
    await Deno.remove(entry);
  }
}

/** The folder below src/ that a file belongs to, or one of the others at the top; undefined for what is not ours. */
function folderOf(file: string): string | undefined {
  const [top, below] = file.split("/");
  if (top === "src") return below;
  return ["tests", "scripts", "main.ts"].includes(top!) ? top : undefined;
}

/** Files that are shipped, and those that build and measure what is shipped. */
function isProduct(file: string): boolean {
  return file.startsWith("src/") && !isTestSupport(file) || file === "main.ts";
}

/** @returns A package's name without its version, or a specifier of Node. */
function packageOf(specifier: string): string | undefined {
  return /^npm:\/?((?:@[^/]+\/)?[^@/]+)/.exec(specifier)?.[1] ?? (specifier.startsWith("node:") ? "node" : undefined);
}

/** @returns The row of a file's room, or else of its folder. */
function rowOf(table: Record<string, readonly string[]>, file: string): readonly string[] {
  const room = file.split("/").slice(1, 3).join("/");
  return table[room] ?? table[folderOf(file)!] ?? [];
}

function edges(graph: Graph): [from: string, to: string][] {
  return [...graph].flatMap(([from, targets]) =>
    folderOf(from) === undefined ? [] : targets.map((to): [string, string] => [from, to])
  );
}

function say([from, to]: readonly [string, string]): string {
  return `${from} imports ${to}`;
}

function wrongFolders(graph: Graph): string[] {
  return edges(graph).filter(([from, to]) => {
    const [here, there] = [folderOf(from)!, folderOf(to)];
    if (there === undefined || there === here || here === "main.ts") return false;
    if (!isTestSupport(from) && here !== "scripts") return !rowOf(MAY_IMPORT, from).includes(there);
    // A test beside its subject sees no more of the house than that.
    return from.startsWith("src/") && there !== "scripts" && !rowOf(MAY_IMPORT, from).includes(there);
  }).map(say);
}

function wrongLibraries(graph: Graph): string[] {
  return edges(graph).filter(([from, to]) => {
    const name = packageOf(to);
    if (name === undefined || isTestSupport(from)) return false;
    if (name === "node" && folderOf(from) === "scripts") return false;
    return !rowOf(MAY_USE, from).includes(name);
  }).map(say);
}

function testSupportInProduct(graph: Graph): string[] {
  return edges(graph).filter(([from, to]) => isProduct(from) && isTestSupport(to)).map(say);
}

/** @returns Each circle as the files on it. By Tarjan's strongly connected components. */
function circles(graph: Graph): string[][] {
  const found: string[][] = [];
  const order = new Map<string, number>();
  const lowest = new Map<string, number>();
  const stack: string[] = [];
  const visit = (file: string): void => {
    order.set(file, order.size);
    lowest.set(file, order.get(file)!);
    stack.push(file);
    for (const next of graph.get(file) ?? []) {
      if (!graph.has(next)) continue;
      if (!order.has(next)) visit(next);
      if (stack.includes(next)) lowest.set(file, Math.min(lowest.get(file)!, lowest.get(next)!));
    }
    if (lowest.get(file) !== order.get(file)) return;
    const circle = stack.splice(stack.indexOf(file));
    if (circle.length > 1) found.push(circle.sort());
  };
  for (const file of graph.keys()) if (!order.has(file)) visit(file);
  return found;
}

const whole = await wholeGraph();

Deno.test("layers: every import is allowed by the table", async () => {
  assert.deepEqual(wrongFolders(whole), []);
});

Deno.test("layers: every folder uses its own libraries only", async () => {
  assert.deepEqual(wrongLibraries(whole), []);
});

Deno.test("layers: the product imports no test support", async () => {
  assert.deepEqual(testSupportInProduct(whole), []);
});

Deno.test("layers: there is no circle of files", async () => {
  assert.deepEqual(circles(whole), []);
});

Deno.test("layers: of the host's files only those in sandbox/agent turn values into the agent's messages", () => {
  const codecs = /^src\/agent_api\/.*codec\.ts$/;
  const allowed = /^src\/(agent_api|agent|sandbox\/agent)\//;
  const others = edges(whole).filter(([from, to]) => isProduct(from) && codecs.test(to) && !allowed.test(from));
  assert.deepEqual(others.map(say), []);
});

Deno.test("layers: every folder of src/ is in the table, and no other", () => {
  const folders = [...Deno.readDirSync(new URL("src", root))].filter((e) => e.isDirectory).map((e) => e.name);
  assert.deepEqual(folders.sort(), Object.keys(MAY_IMPORT).filter((row) => !row.includes("/")).sort());
});

Deno.test("layers: no folder has more than 25 files in it", () => {
  const counts = Map.groupBy(sources("src"), (file) => file.slice(0, file.lastIndexOf("/")));
  assert.deepEqual([...counts].filter(([, files]) => files.length > 25).map(([folder]) => folder), []);
});

Deno.test("layers: what breaks a rule is found", () => {
  const graph: Graph = new Map([
    ["src/linux/a.ts", ["src/shim/b.ts", "npm:/valibot@1.5.0", "src/linux/testing/fake.ts"]],
    ["src/linux/a_test.ts", ["src/linux/a.ts", "src/shim/b.ts", "npm:fast-check@4.10.2"]],
    ["src/shim/b.ts", ["src/base/c.ts", "npm:@connectrpc/connect@2.2.0/protocol", "node:fs"]],
    ["src/base/c.ts", ["src/linux/a.ts"]],
    ["src/sandbox/f.ts", ["src/proto/g.ts", "npm:/@bufbuild/protobuf@2.12.1"]],
    ["src/sandbox/agent/h.ts", ["src/proto/g.ts", "npm:/@bufbuild/protobuf@2.12.1"]],
    ["scripts/d.ts", ["tests/e.ts", "src/shim/b.ts", "node:fs"]],
    ["tests/e.ts", ["scripts/d.ts", "npm:fast-check@4.10.2"]],
  ]);
  assert.deepEqual(wrongFolders(graph), [
    "src/linux/a.ts imports src/shim/b.ts",
    "src/linux/a_test.ts imports src/shim/b.ts",
    "src/base/c.ts imports src/linux/a.ts",
    "src/sandbox/f.ts imports src/proto/g.ts",
  ]);
  assert.deepEqual(wrongLibraries(graph), [
    "src/linux/a.ts imports npm:/valibot@1.5.0",
    "src/shim/b.ts imports node:fs",
    "src/sandbox/f.ts imports npm:/@bufbuild/protobuf@2.12.1",
  ]);
  assert.deepEqual(testSupportInProduct(graph), ["src/linux/a.ts imports src/linux/testing/fake.ts"]);
  assert.deepEqual(circles(graph), [
    ["src/base/c.ts", "src/linux/a.ts", "src/shim/b.ts"],
    ["scripts/d.ts", "tests/e.ts"],
  ]);
});

Deno.test("layers: the agent loads no node: module, which would cost the guest a second", async () => {
  const files = [...(await moduleGraph("src/agent/main.ts")).keys()];
  assert.deepEqual(files.filter((file) => file.startsWith("node:")), []);
});
