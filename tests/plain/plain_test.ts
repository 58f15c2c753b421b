/**
 * The build without the tricks of `scripts/accelerate`: it has none of them, and a container runs in its machine. The suite
 * `plain` runs some files of other suites on it as well. Needs root, containerd, QEMU, dist/ and dist/plain.
 */
import assert from "node:assert/strict";
import { leftOut } from "../../src/base/testing/left_out.ts";
import { Containerd, releases } from "../interop/containerd.ts";
import { until } from "../support/wait.ts";

const REPO = new URL("../../", import.meta.url);
const DIST = new URL("dist/", REPO);
const PLAIN = new URL("dist/plain/", REPO);
const ELF = "\x7fELF";

/** A file's bytes as characters, one each. */
function bytes(path: string, dist: URL): string {
  return new TextDecoder("latin1").decode(Deno.readFileSync(new URL(path, dist)));
}

function exists(path: string, dist: URL): boolean {
  try {
    return Deno.statSync(new URL(path, dist)).isFile;
  } catch {
    return false;
  }
}

function agent(dist: URL): string {
  return bytes(exists("guest/agent.js", dist) ? "guest/agent.js" : "guest/main.js", dist);
}

/** For each folder of scripts/accelerate how a build shows that it has it. */
const TRACES: Record<string, (dist: URL) => boolean> = {
  agent_loader: (dist) => bytes("guest/main.js", dist).includes("Deno.internal"),
  code_cache: (dist) => bytes("guest/initrd.cpio", dist).includes("cache/v8_code_cache_v2\0"),
  init_program: (dist) => !bytes("guest/initrd.cpio", dist).includes("#!/bin/busybox sh"),
  launcher: (dist) => bytes("program/launcher", dist).startsWith(ELF),
  lazy_imports: (dist) => bytes("program/main.js", dist).includes('import("".concat('),
  portable_head: (dist) => bytes("kata", dist).startsWith(ELF),
  prelink: (dist) => exists("program/prelink.js", dist),
  protobuf: (dist) => !agent(dist).includes(`"name":"google/protobuf/descriptor.proto"`),
  runk_loader: (dist) => bytes("program/runk.js", dist).includes("Deno.internal"),
  timers: (dist) => /globalThis,\{setTimeout/.test(agent(dist)),
  v8_flags: (dist) => bytes("guest/initrd.cpio", dist).includes("--regexp-interpret-all"),
};

Deno.test("each trick has a row here and in scripts/README.md", () => {
  const folders = [...Deno.readDirSync(new URL("scripts/accelerate", REPO))].filter(({ isDirectory }) => isDirectory);
  const names = folders.map(({ name }) => name).sort();
  assert.deepEqual(names, Object.keys(TRACES).sort());
  const page = Deno.readTextFileSync(new URL("scripts/README.md", REPO));
  assert.deepEqual(names.filter((name) => !page.includes(`| \`${name}\``)), []);
});

for (const [trick, isIn] of Object.entries(TRACES)) {
  Deno.test(`the plain build has no ${trick}, and the other one has`, () => {
    assert.deepEqual([isIn(PLAIN), isIn(DIST)], [false, true]);
  });
}

Deno.test({
  name: "plain: a container runs in its machine, takes another process, and ends",
  ignore: leftOut(import.meta, releases().length === 0 && "containerd is not installed"),
  sanitizeResources: false, // ctr keeps pipes of its own
  async fn() {
    await using containerd = await Containerd.start({ release: releases()[0]! });
    {
      await using container = await containerd.background(["sleep", "1000"]);
      const { id } = container;
      assert.equal(await containerd.must("task", "exec", "--exec-id", "e1", id, "echo", "hello"), "hello\n");
      const kernel = await containerd.must("task", "exec", "--exec-id", "e2", id, "uname", "-r");
      assert.notEqual(kernel.trim(), Deno.osRelease(), "the guest's kernel is not the host's");
    }
    const seven = await containerd.runContainer("seven", ["sh", "-c", "echo out; exit 7"]);
    assert.deepEqual([seven.status, seven.stdout], [7, "out\n"], seven.stderr);
    await until(async () => (await containerd.remains()).length === 0, { ms: 5000 });
  },
});
