/** What a runtime leaves when it is killed, has no room, or may not write. */
import assert from "node:assert/strict";
import { Box, finish, host } from "./runtime.ts";
import { test, testEach } from "./suite.ts";

/** Moments to kill at: from before the first system call of interest to after the last one, on any machine. */
const MOMENTS = Array.from({ length: 7 }, (_, index) => index / 6);

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

/** System calls by which a runtime changes the machine. */
const CHANGES = "mkdir,mkdirat,mknod,mknodat,rename,renameat,renameat2,unlink,unlinkat,rmdir,write,clone3,flock";

/** A step of a command: the call, and the how-manieth of its name it is. */
interface Step {
  name: string;
  count: number;
  /** What it is about, without what differs from one container to the next. */
  what: string;
}

/** Runs a command under strace. @returns What its main thread did, call by call. */
async function trace(
  box: Box,
  id: string,
  options: { args: readonly string[]; strace?: readonly string[] },
): Promise<Step[]> {
  const log = `${box.dir}/trace`;
  const strace = ["-y", "-s", "64", "-o", log, "-e", `trace=${CHANGES}`, ...options.strace ?? []];
  await finish("strace", { args: [...strace, ...box.words(options.args)], stdout: "null", cwd: box.dir });
  const counts = new Map<string, number>();
  return Deno.readTextFileSync(log).split("\n").flatMap((line) => {
    const [, name, rest = ""] = /^(\w+)\((.*)/.exec(line) ?? [];
    if (name === undefined) return [];
    const count = (counts.get(name) ?? 0) + 1;
    counts.set(name, count);
    const isOurs = [box.root, box.spec.linux.cgroupsPath, "CLONE_PIDFD"].some((text) => rest.includes(text));
    if (!isOurs) return [];
    const what = `${name} ${rest.replaceAll(id, "ID").replace(/[,)].*/, "").replaceAll(/\d+/g, "N")}`;
    return [{ name, count, what }];
  });
}

testEach([...STAGES])("kill -9 at each step of $stage: delete --force takes away all of it", async (row) => {
  await using box = new Box();
  box.spec.process.args = ["/bin/sleep", MARK];
  box.save();
  const words = (stage: string, id: string) => [...COMMANDS[stage]!, ...stage === "create" ? [box.bundle] : [], id];
  const prepared = async () => {
    const id = box.id();
    for (const stage of row.before) await box.ok(...words(stage, id));
    return id;
  };
  const whole = await prepared();
  const steps = await trace(box, whole, { args: words(row.stage, whole) });
  await box.ok("delete", "--force", whole);
  assert.ok(steps.length >= 3, `${steps.length} steps`);
  const missed = new Set<string>();
  for (const { name, count, what } of steps) {
    const id = await prepared();
    const strace = ["-e", `inject=${name}:signal=SIGKILL:when=${count}`];
    const last = (await trace(box, id, { args: words(row.stage, id), strace })).at(-1);
    if (last?.what !== what) missed.add(what);
    await box.ok("delete", "--force", id);
    assert.deepEqual(await remains(box, id), [], `killed at "${what}" of ${row.stage}`);
  }
  // Writes of the event loop, which differ from run to run, may shift a count.
  assert.ok(missed.size <= steps.length / 5, `not hit: ${[...missed].join("; ")}`);
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
