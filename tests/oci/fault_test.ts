/** Leftovers of a runtime that is killed, has no room, or may not write. */
import assert from "node:assert/strict";
import { listenUnix } from "../../src/linux/net/socket.ts";
import { Box, host, RUNTIME } from "./runtime.ts";
import { test, testEach } from "./suite.ts";
import { finish } from "../support/command.ts";
import { until } from "../support/wait.ts";

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

/** Everything on the host that belongs to the container: directories of cgroups, processes, its state, half a pid file. */
async function remains(box: Box, id: string): Promise<string[]> {
  const path = box.spec.linux.cgroupsPath;
  const cgroups = await host("find", "/sys/fs/cgroup", "-type", "d", "-path", `*${path}`);
  const states = await host("find", box.root, "-maxdepth", "1", "-name", id);
  const marked = await host("pgrep", "-f", MARK);
  const staged = await host("find", box.dir, "-maxdepth", "1", "-name", ".*", ...OWN_RACE);
  return [cgroups, states, marked, staged, await halfMade(id)].filter((text) => text !== "");
}

/** runc writes its pid file under another name first, and leaves that if it is killed there: what it is known for. */
const OWN_RACE = /(^|\/)runc$/.test(RUNTIME) ? ["-not", "-name", ".pid"] : [];

/** Processes that have not become a program of the container: they have the command line of the runtime still. */
async function halfMade(id: string): Promise<string> {
  return await host("pgrep", "-f", id);
}

const MARK = `${1e6 + Math.floor(Math.random() * 1e6)}`;

/** A command that may be killed. */
interface Stage {
  stage: string;
  /** Commands that make it possible. */
  before: readonly (keyof typeof COMMANDS)[];
  command: keyof typeof COMMANDS;
  /** The first process ends at once, as the command waits for it. */
  isShort?: boolean;
  /** The system call before which its steps are those of `create`, and tried there. */
  since?: string;
  hasTerminal?: boolean;
}

const STAGES: readonly Stage[] = [
  { stage: "create", before: [], command: "create" },
  { stage: "start", before: ["create"], command: "start" },
  { stage: "delete", before: ["create", "start"], command: "delete" },
  { stage: "run", before: [], command: "run", isShort: true, since: "clone3" },
  { stage: "run --detach", before: [], command: "detach", hasTerminal: true, since: "clone3" },
  { stage: "exec", before: ["create", "start"], command: "exec" },
  { stage: "exec --detach", before: ["create", "start"], command: "execDetached" },
];

const COMMANDS = {
  create: ({ bundle }, id) => ["create", "--bundle", bundle, id],
  start: (_box, id) => ["start", id],
  delete: (_box, id) => ["delete", "--force", id],
  run: ({ bundle, dir }, id) => ["run", "--pid-file", `${dir}/pid`, "--bundle", bundle, id],
  detach: ({ bundle, dir }, id) => ["run", "--detach", ...consoleFlags(dir), "--bundle", bundle, id],
  exec: ({ dir }, id) => ["exec", "--pid-file", `${dir}/pid`, id, "/bin/true"],
  execDetached: ({ dir }, id) => ["exec", "--detach", "--tty", ...consoleFlags(dir), id, "/bin/sleep", MARK],
} satisfies Record<string, (box: Box, id: string) => string[]>;

/** Takes terminals; nobody looks at them. */
function consoleFlags(dir: string): string[] {
  return ["--pid-file", `${dir}/pid`, "--console-socket", `${dir}/console`];
}

/** A container on which the stage can be tried, and its command line. */
async function prepare(box: Box, { before, command }: Stage): Promise<{ id: string; args: string[] }> {
  const id = box.id();
  for (const name of before) await box.ok(...COMMANDS[name](box, id));
  // One that a killed command has left is another system call for the next: it is removed first.
  await Deno.remove(`${box.dir}/pid`).catch(() => {});
  return { id, args: COMMANDS[command](box, id) };
}

function boxFor({ isShort, hasTerminal = false }: Stage): Box {
  const box = new Box();
  box.spec.process.args = isShort ? ["/bin/true"] : ["/bin/sleep", MARK];
  box.spec.process.terminal = hasTerminal;
  box.save();
  return box;
}

/** Whether the container of a killed `exec` is as if there had been none. */
async function assertGoesOn(box: Box, id: string): Promise<void> {
  await until(async () => await halfMade(id) === "");
  assert.equal((await box.state(id)).status, "running");
  await box.ok("exec", id, "/bin/true");
}

testEach(STAGES)("kill -9 in the middle of $stage: delete --force takes away all of it", async (row) => {
  await using box = boxFor(row);
  using _listener = listenUnix(`${box.dir}/console`);
  const whole = await prepare(box, row);
  const duration = await timed(() => box.call(whole.args));
  await box.ok("delete", "--force", whole.id);
  for (const moment of MOMENTS) {
    const { id, args } = await prepare(box, row);
    await killAfter(box, duration * moment, args);
    if (row.command.startsWith("exec")) await assertGoesOn(box, id);
    await box.ok("delete", "--force", id);
    assert.deepEqual(await remains(box, id), [], `killed after ${(duration * moment).toFixed()} ms of ${row.stage}`);
  }
});

/** System calls by which a runtime changes the machine. */
const CHANGES = "mkdir,mkdirat,mknod,mknodat,rename,renameat,renameat2,unlink,unlinkat,rmdir,write,clone3,flock," +
  "linkat,sendmsg,setns,poll";

/** A step of a command: the call, and the how-manieth of its name it is. */
interface Step {
  name: string;
  count: number;
  /** Subject of it, without what differs from one container to the next. */
  what: string;
}

/** Runs a command under strace. @returns What its main thread did, call by call. */
async function trace(
  box: Box,
  { id, args, strace = [] }: { id: string; args: readonly string[]; strace?: readonly string[] },
): Promise<Step[]> {
  const log = `${box.dir}/trace`;
  const options = ["-y", "-s", "64", "-o", log, "-e", `trace=${CHANGES}`, ...strace];
  await finish("strace", { args: [...options, ...box.words(args)], stdout: "null", cwd: box.dir });
  const counts = new Map<string, number>();
  return Deno.readTextFileSync(log).split("\n").flatMap((line) => {
    const [, name, rest = ""] = /^(\w+)\((.*)/.exec(line) ?? [];
    if (name === undefined) return [];
    const count = (counts.get(name) ?? 0) + 1;
    counts.set(name, count);
    const signs = [box.dir, box.spec.linux.cgroupsPath, "CLONE_PIDFD", "CLONE_NEWPID", "SCM_RIGHTS"];
    const isOurs = signs.some((sign) => rest.includes(sign)) || /^poll.*pipe:/.test(line);
    if (!isOurs) return [];
    const what = `${name} ${rest.replaceAll(id, "ID").replace(/[,)].*/, "").replaceAll(/\d+/g, "N")}`;
    return [{ name, count, what }];
  });
}

/** Without those that do to the same thing what the one before did. */
function distinct(steps: readonly Step[]): Step[] {
  return steps.filter(({ what }, index) => what !== steps[index - 1]?.what);
}

testEach(STAGES)("kill -9 at each step of $stage: delete --force takes away all of it", async (row) => {
  await using box = boxFor(row);
  using _listener = listenUnix(`${box.dir}/console`);
  const whole = await prepare(box, row);
  const all = await trace(box, whole);
  const steps = distinct(all.slice(all.findIndex(({ name }) => row.since === undefined || name === row.since)));
  await box.ok("delete", "--force", whole.id);
  assert.ok(steps.length >= 3, `${steps.length} steps`);
  for (const step of steps) await killAt(box, { row, step });
});

/** More than any step was ever missed in a row, on a busy machine too. */
const TRIES = 40;

/**
 * Kills a command at a step, and looks at what stays. Calls of the event loop and of its threads, which differ from run to
 * run, shift the counts: a step that is missed is tried again, where {@linkcode nextCount} expects it.
 *
 * @throws {Error} The step is never reached, or something stays.
 */
async function killAt(box: Box, { row, step }: { row: Stage; step: Step }): Promise<void> {
  const { name, what } = step;
  let { count } = step;
  const tried: number[] = [];
  while (tried.length < TRIES) {
    tried.push(count);
    const { id, args } = await prepare(box, row);
    const steps = await trace(box, { id, args, strace: ["-e", `inject=${name}:signal=SIGKILL:when=${count}`] });
    if (row.command.startsWith("exec")) await assertGoesOn(box, id);
    await box.ok("delete", "--force", id);
    assert.deepEqual(await remains(box, id), [], `killed at "${what}" of ${row.stage}`);
    const last = steps.at(-1);
    if (last?.what === what && last.count === count) return;
    count = nextCount(steps, { step, count });
  }
  assert.fail(`"${what}" of ${row.stage} is not reached in ${TRIES} runs, killed at call ${tried} of ${name}`);
}

/** Further than calls of threads have ever shifted a count; beyond it the search begins anew. */
const FARTHEST = 8;

/** Where a missed step is looked for next: where the run had it that went past, or later if it was killed before. */
function nextCount(seen: readonly Step[], { step, count }: { step: Step; count: number }): number {
  const there = seen.findLast(({ what }) => what === step.what);
  if (there !== undefined) return there.count;
  return count < step.count + FARTHEST ? count + 1 : Math.max(1, step.count - 2);
}

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

test("create --pid-file: is written also where a file cannot be without a name until it is whole", async () => {
  await using box = new Box();
  box.save();
  const create = box.words(["create", "--pid-file", `${box.dir}/pid`, "--bundle", box.bundle, box.id()]);
  const strace = ["-o", `${box.dir}/trace`, "-P", `${box.dir}/.`, "-e", "inject=openat:error=EOPNOTSUPP"];
  await finish("strace", { args: [...strace, ...create], stdout: "null", cwd: box.dir });
  assert.match(Deno.readTextFileSync(`${box.dir}/pid`), /^\d+$/);
});
