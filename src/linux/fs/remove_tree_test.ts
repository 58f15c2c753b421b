import assert from "node:assert/strict";

import { listEntries, type RawName, rawName } from "./directory.ts";
import { Fd, O_DIRECTORY, O_RDONLY } from "../io/fd.ts";
import { setRlimit } from "../process/process.ts";
import { makeDeep } from "./testing/deep.ts";
import { removePath, removeTree } from "./remove_tree.ts";

/** A directory with a witness beside the tree that is removed. */
class Box implements Disposable {
  readonly path = Deno.makeTempDirSync({ dir: "/dev/shm" });
  readonly fd = Fd.open(this.path, O_RDONLY | O_DIRECTORY);

  constructor() {
    Deno.mkdirSync(`${this.path}/kept`);
    Deno.writeTextFileSync(`${this.path}/kept/file`, "kept");
  }

  names(): string[] {
    return [...Deno.readDirSync(this.path)].map(({ name }) => name).sort();
  }

  [Symbol.dispose](): void {
    this.fd[Symbol.dispose]();
    new Deno.Command("rm", { args: ["-rf", this.path] }).outputSync();
  }
}

function highestNumber(): number {
  return Math.max(...[...Deno.readDirSync("/proc/self/fd")].map(({ name }) => Number(name)));
}

/** Lowers RLIMIT_NOFILE of this process; with a full table nothing more can be opened. */
function withDescriptors(soft: number): Disposable {
  const limits = Deno.readTextFileSync("/proc/self/limits");
  const [before = 0, hard = 0] = /open files +(\d+) +(\d+)/.exec(limits)!.slice(1).map(Number);
  const set = (value: number) => {
    const limits = new Uint8Array(BigUint64Array.of(BigInt(value), BigInt(hard)).buffer);
    setRlimit(Deno.pid, { name: "RLIMIT_NOFILE", resource: 7, limits });
  };
  set(soft);
  return { [Symbol.dispose]: () => set(before) };
}

Deno.test("F1: removeTree() removes a tree of 20,000 levels with 1,024 descriptors", () => {
  using box = new Box();
  makeDeep(box.fd, { name: "deep", depth: 20_000 });
  using _few = withDescriptors(1_024);
  removeTree(box.fd, "deep");
  assert.deepEqual(box.names(), ["kept"]);
});

Deno.test("F1: removeTree() opens two descriptors at most at once, however deep", () => {
  using box = new Box();
  makeDeep(box.fd, { name: "deep", depth: 200 });
  using held = new DisposableStack();
  let last = held.use(box.fd.dup());
  // Until no number below the last is free.
  for (const highest = highestNumber(); last.number < highest;) last = held.use(box.fd.dup());
  using _few = withDescriptors(last.number + 3);
  removeTree(box.fd, "deep");
  assert.deepEqual(box.names(), ["kept"]);
});

Deno.test("removeTree() removes links, not what they lead to", () => {
  using box = new Box();
  Deno.mkdirSync(`${box.path}/tree/inner`, { recursive: true });
  Deno.symlinkSync("../kept", `${box.path}/tree/link`);
  Deno.symlinkSync(`${box.path}/kept`, `${box.path}/tree/inner/link`);
  removeTree(box.fd, "tree");
  Deno.symlinkSync("kept", `${box.path}/tree`);
  removeTree(box.fd, "tree");
  assert.equal(Deno.readTextFileSync(`${box.path}/kept/file`), "kept");
  assert.deepEqual(box.names(), ["kept"]);
});

Deno.test("removeTree() removes names that are no UTF-8, and wide directories", () => {
  using box = new Box();
  const script = 'mkdir -p tree/$(printf "\\377dir") && cd tree && touch $(printf "\\377dir")/$(printf "\\376") && ' +
    "mkdir $(seq 3000) && touch $(seq 1 7 3000 | sed s,$,/file,)";
  assert.ok(new Deno.Command("sh", { args: ["-c", script], cwd: box.path }).outputSync().success);
  removeTree(box.fd, "tree");
  assert.deepEqual(box.names(), ["kept"]);
});

Deno.test("removeTree() takes a file, and what is not there for no error (B38)", () => {
  using box = new Box();
  Deno.writeTextFileSync(`${box.path}/file`, "");
  for (const name of ["file", "file", "kept"]) removeTree(box.fd, name);
  assert.deepEqual(box.names(), []);
});

Deno.test.each([{ name: ".." }, { name: "." }, { name: "" }, { name: "a/b" }])(
  "removeTree() refuses '$name', which is no name",
  ({ name }) => {
    using box = new Box();
    assert.throws(() => removeTree(box.fd, name), TypeError);
    assert.deepEqual(box.names(), ["kept"]);
  },
);

Deno.test("removePath() removes by a path, and nothing where the directory is missing", () => {
  using box = new Box();
  removePath(`${box.path}/no/such`);
  removePath(`${box.path}/kept`);
  assert.deepEqual(box.names(), []);
});

Deno.test("listEntries() lists from the beginning each time", () => {
  using box = new Box();
  const list = () => [...listEntries(box.fd)];
  const kept: RawName = rawName("kept");
  assert.deepEqual([list(), list()], [[{ name: kept, kind: "directory" }], [{ name: kept, kind: "directory" }]]);
});
