import assert from "node:assert/strict";
import { Fd, O_DIRECTORY, O_PATH } from "../../linux/io/fd.ts";
import { WatchedCopy } from "./watched_copy.ts";

const LIMITS = { entries: 20, bytes: 1000 };

/** A volume as the kubelet writes it, and its copy. */
class Bench implements Disposable {
  readonly root = Deno.makeTempDirSync({ prefix: "kata-watched-" });
  readonly source = `${this.root}/source`;
  readonly target = `${this.root}/target`;
  readonly #stack = new DisposableStack();
  readonly copy: WatchedCopy;

  constructor() {
    for (const path of [this.source, this.target]) Deno.mkdirSync(path, { mode: 0o755 });
    const open = (path: string) => this.#stack.use(Fd.open(path, O_PATH | O_DIRECTORY));
    this.copy = new WatchedCopy({ source: open(this.source), target: open(this.target) });
  }

  /** @param files Contents by their names. */
  publish(version: string, files: Readonly<Record<string, string>>): void {
    const { source } = this;
    const old = read(() => Deno.readLinkSync(`${source}/..data`));
    Deno.mkdirSync(`${source}/..${version}`);
    for (const [name, content] of Object.entries(files)) {
      if (name.includes("/")) Deno.mkdirSync(`${source}/..${version}/${name.split("/")[0]}`, { recursive: true });
      Deno.writeTextFileSync(`${source}/..${version}/${name}`, content, { mode: 0o640 });
    }
    Deno.symlinkSync(`..${version}`, `${source}/..data_tmp`);
    Deno.renameSync(`${source}/..data_tmp`, `${source}/..data`);
    const tops = new Set(Object.keys(files).map((name) => name.split("/")[0]!));
    for (const top of tops) {
      if (read(() => Deno.readLinkSync(`${source}/${top}`)) === undefined) {
        Deno.symlinkSync(`..data/${top}`, `${source}/${top}`);
      }
    }
    for (const { name } of Deno.readDirSync(source)) {
      if (!name.startsWith("..") && !tops.has(name)) Deno.removeSync(`${source}/${name}`);
    }
    if (old !== undefined) Deno.removeSync(`${source}/${old}`, { recursive: true });
  }

  read(name: string): string {
    return Deno.readTextFileSync(`${this.target}/${name}`);
  }

  names(): string[] {
    return [...Deno.readDirSync(this.target)].map(({ name }) => name).sort();
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
    Deno.removeSync(this.root, { recursive: true });
  }
}

function read<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch {
    return undefined;
  }
}

Deno.test("pods A4: WatchedCopy.refresh() has what the volume has, with its modes, and nothing of an older version", () => {
  using bench = new Bench();
  bench.publish("1", { key: "one", "sub/deep": "below", gone: "soon" });
  assert.ok(bench.copy.refresh(LIMITS));
  assert.deepEqual([bench.read("key"), bench.read("sub/deep"), bench.read("gone")], ["one", "below", "soon"]);
  assert.equal(Deno.statSync(`${bench.target}/key`).mode! & 0o7777, 0o640);
  assert.ok(!bench.copy.refresh(LIMITS), "nothing has changed");
  bench.publish("2", { key: "two", new: "here" });
  assert.ok(bench.copy.refresh(LIMITS));
  assert.deepEqual([bench.read("key"), bench.read("new")], ["two", "here"]);
  assert.deepEqual(bench.names(), ["..2", "..data", "key", "new"]);
});

Deno.test("pods A4: who watches the copy hears of an update as on a node, by one rename of ..data", async () => {
  using bench = new Bench();
  bench.publish("1", { key: "one" });
  bench.copy.refresh(LIMITS);
  using watch = Deno.watchFs(bench.target, { recursive: false });
  bench.publish("2", { key: "two" });
  bench.copy.refresh(LIMITS);
  for await (const { kind, paths } of watch) {
    if (kind === "rename" && paths.some((path) => path.endsWith("/..data"))) break;
  }
  assert.equal(bench.read("key"), "two");
});

Deno.test("pods A4: WatchedCopy.refresh() leaves the copy as it was where an update is too large or is none", () => {
  using bench = new Bench();
  bench.publish("1", { key: "one" });
  bench.copy.refresh(LIMITS);
  bench.publish("2", { key: "x".repeat(1001) });
  assert.throws(() => bench.copy.refresh(LIMITS), { code: "RESOURCE_EXHAUSTED" });
  bench.publish("3", Object.fromEntries(Array.from({ length: 21 }, (_, at) => [`f${at}`, ""])));
  assert.throws(() => bench.copy.refresh(LIMITS), { code: "RESOURCE_EXHAUSTED" });
  Deno.writeTextFileSync(`${bench.source}/plain`, "no link");
  assert.throws(() => bench.copy.refresh(LIMITS), { code: "FAILED_PRECONDITION" });
  assert.deepEqual([bench.read("key"), bench.names()], ["one", ["..1", "..data", "key"]]);
  Deno.removeSync(`${bench.source}/plain`);
  bench.publish("4", { key: "four" });
  assert.ok(bench.copy.refresh(LIMITS));
  assert.equal(bench.read("key"), "four");
});

Deno.test("pods A4: WatchedCopy.refresh() leads nowhere, whatever lies in the volume or in the place of the copy", () => {
  using bench = new Bench();
  const victim = `${bench.root}/victim`;
  Deno.mkdirSync(victim, { mode: 0o700 });
  Deno.writeTextFileSync(`${victim}/key`, "untouched");
  bench.publish("1", { key: "one" });
  bench.copy.refresh(LIMITS);
  bench.publish("2", { key: "two" });
  Deno.symlinkSync("../../victim/key", `${bench.source}/..2/stolen`);
  // A container that may mount can write in the copy: links where the agent goes next.
  Deno.symlinkSync(victim, `${bench.target}/..2`);
  Deno.symlinkSync(victim, `${bench.target}/..data_tmp`);
  assert.ok(bench.copy.refresh(LIMITS));
  assert.equal(bench.read("key"), "two");
  assert.deepEqual([...Deno.readDirSync(victim)].map(({ name }) => name), ["key"]);
  assert.equal(Deno.readTextFileSync(`${victim}/key`), "untouched");
  assert.equal(Deno.statSync(victim).mode! & 0o777, 0o700);
  assert.equal(read(() => bench.read("..data/stolen")), undefined);
  Deno.removeSync(`${bench.source}/..data`);
  Deno.symlinkSync("../victim", `${bench.source}/..data`);
  assert.throws(() => bench.copy.refresh(LIMITS), { code: "FAILED_PRECONDITION" });
});

Deno.test("pods A4: WatchedCopy.fill() looks again while the kubelet moves on, and does not for ever", async () => {
  using bench = new Bench();
  Deno.symlinkSync("..gone", `${bench.source}/..data`);
  let pauses = 0;
  await assert.rejects(bench.copy.fill(LIMITS, { sleep: async () => void pauses++ }), { code: "FAILED_PRECONDITION" });
  assert.equal(pauses, 9);
  assert.deepEqual(bench.names(), []);
  const sleep = async () => {
    Deno.removeSync(`${bench.source}/..data`);
    bench.publish("1", { key: "one" });
  };
  await bench.copy.fill(LIMITS, { sleep });
  assert.equal(bench.read("key"), "one");
});
