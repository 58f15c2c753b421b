/** What a runtime leaves when it is killed, has no room, or may not write. */
import assert from "node:assert/strict";
import { Box, finish, host } from "./runtime.ts";
import { test, testEach } from "./suite.ts";

/** Moments to kill at: from before the first system call of interest to after the last one, on any machine. */
const MOMENTS = Array.from({ length: 25 }, (_, index) => index / 24);

/** Runs a command and kills the runtime itself, once `ms` have passed. */
async function killAfter(box: Box, ms: number, args: readonly string[]): Promise<void> {
  const script = `"$@" >/dev/null 2>&1 & sleep ${(ms / 1000).toFixed(3)}; kill -9 $! 2>/dev/null; wait`;
  await finish("/bin/sh", { args: ["-c", script, "sh", ...box.words(args)], cwd: box.dir });
}

/** How long a command takes here and now, in milliseconds. */
async function timed(action: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await action();
  return performance.now() - begin;
}

/** Everything on the host that belongs to the container: directories of cgroups, processes, its state. */
async function remains(box: Box, id: string): Promise<string[]> {
  const path = box.spec.linux.cgroupsPath;
  const cgroups = await host("find", "/sys/fs/cgroup", "-type", "d", "-path", `*${path}`);
  const states = await host("find", box.root, "-maxdepth", "1", "-name", id);
  const marked = await host("pgrep", "-f", MARK);
  return [cgroups, states, marked].filter((text) => text !== "");
}

const MARK = `${1e6 + Math.floor(Math.random() * 1e6)}`;

const STAGES = [
  { stage: "create", before: [] },
  { stage: "start", before: ["create"] },
  { stage: "delete", before: ["create", "start"] },
] as const;

testEach([...STAGES])("kill -9 in the middle of $stage: delete --force takes away all of it", async (row) => {
  await using box = new Box();
  box.spec.process.args = ["/bin/sleep", MARK];
  box.save();
  const words = (stage: string, id: string) => [...COMMANDS[stage]!, ...stage === "create" ? [box.bundle] : [], id];
  const prepare = async (id: string) => {
    for (const stage of row.before) await box.ok(...words(stage, id));
  };
  const whole = box.id();
  await prepare(whole);
  const duration = await timed(() => box.call(words(row.stage, whole)));
  await box.ok("delete", "--force", whole);
  for (const moment of MOMENTS) {
    const id = box.id();
    await prepare(id);
    await killAfter(box, duration * moment, words(row.stage, id));
    await box.ok("delete", "--force", id);
    assert.deepEqual(await remains(box, id), [], `killed after ${(duration * moment).toFixed()} ms of ${row.stage}`);
  }
});

const COMMANDS: Record<string, readonly string[]> = {
  create: ["create", "--bundle"],
  start: ["start"],
  delete: ["delete", "--force"],
};

test("create: a full disk below the state root is an error and leaves nothing", async () => {
  await using box = new Box();
  await mountState(box, "size=4k,nr_inodes=20");
  try {
    Deno.writeFileSync(`${box.root}/filler`, new Uint8Array(4096));
    await expectNothing(box, /no space|ENOSPC|init state/i);
  } finally {
    await host("umount", box.root);
  }
});

test("create: a read-only state root is an error and leaves nothing", async () => {
  await using box = new Box();
  await mountState(box, "ro");
  try {
    await expectNothing(box, /read-only|EROFS/i);
  } finally {
    await host("umount", box.root);
  }
});

async function mountState(box: Box, options: string): Promise<void> {
  Deno.mkdirSync(box.root);
  await host("mount", "-t", "tmpfs", "-o", options, "tmpfs", box.root);
}

async function expectNothing(box: Box, why: RegExp): Promise<void> {
  const id = box.id();
  box.save();
  const { code, stderr } = await box.call(["create", "--bundle", box.bundle, id]);
  assert.notEqual(code, 0);
  assert.match(stderr, why);
  assert.deepEqual(await remains(box, id), []);
}
