/** Processes of a container, with the right to trace, spy on processes that the runtime starts among them. */
import assert from "node:assert/strict";
import { exists } from "../../src/base/files.ts";
import { Box, RUNTIME } from "./runtime.ts";
import { spawnInside } from "./spy_start.ts";
import { test, testEach } from "./suite.ts";
import { finished } from "../support/command.ts";
import { until } from "../support/wait.ts";

/** In the environment of the runtime: nothing of the container has it. */
const MARK = `mark-${crypto.randomUUID()}`;
const ENV = { SPY_MARK: MARK };
/** runc's process appears with all its rights, and is kept from the spy by being no one's to dump; ours has none to keep. */
const HAS_RIGHTS = /(^|\/)runc$/.test(RUNTIME);

function allow(box: Box, capability: string): void {
  for (const set of ["bounding", "effective", "permitted"]) box.spec.process.capabilities[set].push(capability);
}

/** A container that sleeps. @returns Its id and its first process. */
async function sleeping(box: Box): Promise<{ id: string; pid: number }> {
  const id = box.id();
  box.sh("sleep 1000").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  return { id, pid: (await box.state(id)).pid };
}

/** The next containers of the box live in the pid namespace of a process. */
function sharePids(box: Box, pid: number): void {
  const namespaces: { type: string; path?: string }[] = box.spec.linux.namespaces;
  namespaces.find(({ type }) => type === "pid")!.path = `/proc/${pid}/ns/pid`;
  box.spec.linux.cgroupsPath += "-neighbour";
}

/** The next containers of the box have a user namespace of their own. */
function ownUser(box: Box): void {
  box.spec.linux.namespaces.push({ type: "user" });
  box.spec.linux.uidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
  box.spec.linux.gidMappings = [{ containerID: 0, hostID: 200000, size: 65536 }];
  Deno.chmodSync(box.dir, 0o755);
  Deno.chownSync(box.rootfs, 100000, 200000);
}

/** Looks around in the pid namespace of a process, with no more than the right to trace. */
class Spy implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #lines: string[] = [];
  readonly #reading: Promise<void>;

  constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#reading = this.#read();
  }

  static async start(pid: number, file: string): Promise<Spy> {
    const child = spawnInside(pid, { program: "spy.ts", args: [MARK, file] });
    const spy = new Spy(child);
    await until(() => spy.#lines.includes("ready"));
    return spy;
  }

  async #read(): Promise<void> {
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      this.#lines.push(...text.split("\n").filter((line) => line !== ""));
    }
  }

  /** How many processes it has seen come. */
  get seen(): number {
    return this.#lines.filter((line) => line.endsWith(" seen")).length;
  }

  /** Findings, of whatever process, each once. */
  get found(): string[] {
    const things = this.#lines.filter((line) => line.includes(": ")).map((line) => line.replace(/^\d+ /, ""));
    const isTheirs = (thing: string) => !thing.startsWith("filter: ") && (!HAS_RIGHTS || !thing.startsWith("rights: "));
    return [...new Set(things)].filter(isTheirs).sort();
  }

  /** Whether it has seen a process that no filter held for. */
  get foundUnfiltered(): boolean {
    return this.#lines.some((line) => line.endsWith("filter: none"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stdin.close();
    await this.#reading;
    await this.#child.status;
  }
}

/** A file of the machine that no container has. */
function secretOf(box: Box): string {
  const path = `${box.dir}/secret`;
  Deno.writeTextFileSync(path, "");
  return path;
}

const LOOK = `
for fd in /proc/$P/fd/*; do
  [ -d $fd ] && echo "directory $(readlink $fd)"
  readlink $fd
done
for link in root cwd; do [ -e /proc/$P/$link$SECRET ] && echo "$link of the machine"; done
readlink /proc/$P/exe
tr '\\0' '\\n' </proc/$P/cmdline
echo "$(grep -c "$MARK" /proc/$P/environ) environment"
while read range rights rest; do
  start=$((0x\${range%-*})) end=$((0x\${range#*-}))
  case $rights in
    rw*) [ $((end - start)) -lt 16777216 ] || continue
      dd if=/proc/$P/mem bs=4096 skip=$((start / 4096)) count=$(((end - start) / 4096)) 2>/dev/null |
        grep -q "$MARK" && echo "mark in \${rest##* }" ;;
  esac
done </proc/$P/maps`;

testEach([
  { who: "exec into it", isNeighbour: false },
  { who: "a neighbour in its pid namespace", isNeighbour: true },
])("runk 46, 47: a created container holds nothing of the machine, seen by $who", async ({ isNeighbour }) => {
  await using box = new Box();
  allow(box, "CAP_SYS_PTRACE");
  const secret = secretOf(box);
  let looker = "";
  if (isNeighbour) {
    const neighbour = await sleeping(box);
    looker = neighbour.id;
    sharePids(box, neighbour.pid);
  }
  const id = box.id();
  box.save();
  assert.equal((await box.call(["create", "--bundle", box.bundle, id], { env: ENV })).code, 0);
  const { pid } = await box.state(id);
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  const inner = /^NSpid:.*\t(\d+)$/m.exec(status)![1];
  const script = `P=${inner} MARK=${MARK} SECRET=${secret}; ${LOOK}`;
  const { stdout } = await box.ok("exec", isNeighbour ? looker : id, "/bin/sh", "-c", script);
  assert.doesNotMatch(stdout, /directory|of the machine|mark in|sysfs|cgroup|\/(tasks|state)$/m);
  assert.match(stdout, /^0 environment$/m);
  assert.doesNotMatch(stdout, /deno|kata/);
});

test("F4: what joins a container is not seen by its processes before its program", async () => {
  await using box = new Box();
  allow(box, "CAP_SYS_PTRACE");
  const secret = secretOf(box);
  const { id, pid } = await sleeping(box);
  await using spy = await Spy.start(pid, secret);
  // In a paused container a process stops on its way in.
  await box.ok("pause", id);
  const [command = "", ...args] = box.words(["exec", "--ignore-paused", id, "/bin/true"]);
  const runtime = new Deno.Command(command, { args, stdout: "piped", env: ENV }).spawn();
  const frozen = async () => (await box.ok("ps", "--format", "json", id)).stdout;
  await until(async () => JSON.parse(await frozen()).length > 1);
  await new Promise((resolve) => setTimeout(resolve, 200));
  const before = spy.found;
  await box.ok("resume", id);
  assert.equal((await finished(runtime, args)).code, 0);
  assert.deepEqual(before, []);
});

/** Without no_new_privs a filter takes CAP_SYS_ADMIN to load. */
const FILTERS = {
  "no filter": undefined,
  // As engines have it: they forbid clone3, whose arguments no filter sees.
  "a filter": forbids("clone3"),
  "a filter that forbids clone": forbids("clone", "clone3"),
  "a filter that forbids setsid and exit_group": forbids("setsid", "exit_group"),
  "a filter that notifies": notifies("mkdir", "mkdirat"),
  "a filter that notifies clone and setsid": notifies("clone", "clone3", "setsid"),
};

function forbids(...names: string[]) {
  return { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names, action: "SCMP_ACT_ERRNO", errnoRet: 38 }] };
}

function notifies(...names: string[]) {
  return { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names, action: "SCMP_ACT_NOTIFY" }] };
}

/** Takes what comes over a socket, and answers nothing. */
function agentOf(box: Box): Disposable {
  const path = `${box.dir}/agent`;
  const listener = Deno.listen({ transport: "unix", path });
  void (async () => {
    for await (const connection of listener) await connection.readable.pipeTo(new WritableStream());
  })();
  if (box.spec.linux.seccomp !== undefined) box.spec.linux.seccomp.listenerPath = path;
  return listener;
}

testEach(
  Object.keys(FILTERS).flatMap((filter) => ["exec", "create"].map((command) => ({ command, filter }))),
)(
  "F4: a spy finds nothing of the machine in what $command starts beside it with $filter",
  async ({ command, filter }) => {
    await using box = new Box();
    allow(box, "CAP_SYS_PTRACE");
    const seccomp = FILTERS[filter as keyof typeof FILTERS];
    if (seccomp !== undefined) box.spec.linux.seccomp = { ...seccomp };
    using _agent = agentOf(box);
    box.spec.process.noNewPrivileges = false;
    const secret = secretOf(box);
    const { id, pid } = await sleeping(box);
    await using spy = await Spy.start(pid, secret);
    if (command === "create") sharePids(box, pid);
    box.save();
    // On a busy machine it misses some.
    for (let count = 0; count < 50 && spy.seen < 10; count++) {
      const other = box.id();
      const args = command === "exec" ? ["exec", id, "/bin/sleep", "0.05"] : ["create", "--bundle", box.bundle, other];
      const { code, stderr } = await box.call(args, { env: ENV });
      assert.equal(code, 0, stderr);
      if (command === "create") await box.ok("delete", "--force", other);
    }
    assert.ok(spy.seen >= 10);
    assert.deepEqual(spy.found, []);
  },
);

testEach([
  { command: "exec", noNewPrivileges: true },
  { command: "exec", noNewPrivileges: false },
  { command: "create", noNewPrivileges: true },
  { command: "create", noNewPrivileges: false },
])(
  "F4: a spy finds no process that $command starts without its filter, noNewPrivileges $noNewPrivileges",
  async ({ command, noNewPrivileges }) => {
    await using box = new Box();
    allow(box, "CAP_SYS_PTRACE");
    box.spec.linux.seccomp = FILTERS["a filter"];
    box.spec.process.noNewPrivileges = noNewPrivileges;
    const { id, pid } = await sleeping(box);
    await using spy = await Spy.start(pid, secretOf(box));
    if (command === "create") sharePids(box, pid);
    box.save();
    for (let count = 0; count < 50 && spy.seen < 10; count++) {
      const other = box.id();
      await box.ok(
        ...command === "exec" ? ["exec", id, "/bin/sleep", "0.05"] : ["create", "--bundle", box.bundle, other],
      );
      if (command === "create") await box.ok("delete", "--force", other);
    }
    assert.ok(spy.seen >= 10);
    assert.ok(!spy.foundUnfiltered);
  },
);

test("F4, runk 47: a spy finds nothing of the machine in a container that waits for its hooks", async () => {
  await using box = new Box();
  allow(box, "CAP_SYS_PTRACE");
  const secret = secretOf(box);
  const { pid } = await sleeping(box);
  await using spy = await Spy.start(pid, secret);
  sharePids(box, pid);
  const script = `cat >/dev/null; until [ -e ${box.dir}/go ]; do sleep 0.05; done`;
  box.spec.hooks = { createRuntime: [{ path: "/bin/sh", args: ["sh", "-c", `: >${box.dir}/waits; ${script}`] }] };
  box.save();
  const creating = box.call(["create", "--bundle", box.bundle, box.id()], {
    env: { ...ENV, PATH: Deno.env.get("PATH")! },
  });
  await until(() => exists(`${box.dir}/waits`));
  await new Promise((resolve) => setTimeout(resolve, 300));
  const { found } = spy;
  Deno.writeTextFileSync(`${box.dir}/go`, "");
  const { code, stderr } = await creating;
  assert.equal(code, 0, stderr);
  assert.deepEqual(found, []);
});

test("F4: a spy finds nothing of the machine in what comes with a user namespace of its own", async () => {
  await using box = new Box();
  allow(box, "CAP_SYS_PTRACE");
  const secret = secretOf(box);
  const { pid } = await sleeping(box);
  await using spy = await Spy.start(pid, secret);
  sharePids(box, pid);
  ownUser(box);
  // As an engine does it: a new one may only be mounted by who owns the pid namespace.
  const proc = { destination: "/proc", type: "bind", source: "/proc", options: ["rbind"] };
  box.spec.mounts = box.spec.mounts.map((one: { type: string }) => one.type === "proc" ? proc : one);
  box.save();
  for (let count = 0; count < 10; count++) {
    const other = box.id();
    const { code, stderr } = await box.call(["create", "--bundle", box.bundle, other], { env: ENV });
    assert.equal(code, 0, stderr);
    await until(() => spy.seen > count);
    await box.ok("delete", "--force", other);
  }
  assert.deepEqual(spy.found, []);
});
