/** F4: who may trace holds a process that the engine starts beside it. The command does not wait for ever. */
import assert from "node:assert/strict";
import { leftOut } from "../../src/base/testing/left_out.ts";
import { detectCgroups } from "../../src/linux/cgroup/cgroup.ts";
import { Container } from "../../src/oci/container/container.ts";
import type { Process, Spec } from "../../src/oci/spec/spec.ts";
import { spawnInside } from "../oci/spy_start.ts";
import { Bundle, isReady, NOT_READY } from "../system/oci_bundle.ts";

const ignore = leftOut(import.meta, !isReady() && NOT_READY);

/** Far more than any test takes. */
const LIMIT_MS = 60_000;

/** Holds the next process in the pid namespace of another. */
class Holder implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #reading: Promise<void>;
  #said = "";
  #hear = Promise.withResolvers<void>();

  constructor(pid: number, ...how: string[]) {
    this.#child = spawnInside(pid, { program: "hold.ts", args: how });
    this.#reading = this.#read();
  }

  async #read(): Promise<void> {
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      this.#said += text;
      this.#hear.resolve();
      this.#hear = Promise.withResolvers();
    }
  }

  async until(word: string): Promise<void> {
    while (!this.#said.includes(word)) await this.#hear.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stdin.close();
    await this.#reading;
    await this.#child.status;
  }
}

async function inTime<T>(promise: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error("it waits for ever")), LIMIT_MS);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Lasts until it is ended, for the commands that have begun by then. */
class TestPatience {
  readonly ms = LIMIT_MS;
  readonly endMs = 500;
  #over = new AbortController();

  get signal(): AbortSignal {
    return this.#over.signal;
  }

  end(): void {
    this.#over.abort();
    this.#over = new AbortController();
  }
}

/** A container whose processes are held. */
async function sleeping(bundle: Bundle, change: (spec: Spec) => void = () => {}) {
  const patience = new TestPatience();
  const container = await Container.create({ ...bundle.options(bundle.spec(["sleep", "1000"], change)), patience });
  await container.start();
  return {
    container,
    patience,
    [Symbol.asyncDispose]: () => container.delete({ force: true }),
  };
}

const EXEC: Process = {
  user: { uid: 0, gid: 0 },
  args: ["sleep", "1000"],
  env: ["PATH=/bin"],
  cwd: "/",
  noNewPrivileges: true,
  capabilities: {},
};

/** For an attacker who comes too late. */
async function execAndKill(container: Container, process: Process): Promise<void> {
  const running = await container.exec(process);
  running.kill(9);
}

/** @returns How the call failed that made a process which was held. Sometimes the attacker comes too late. */
async function heldCall(
  { pid, how, patience, whileHeld }: { pid: number; how: string; patience: TestPatience; whileHeld?: () => void },
  call: () => Promise<unknown>,
): Promise<Error> {
  for (let left = 60; left > 0; left--) {
    await using holder = new Holder(pid, how);
    await holder.until("ready");
    const called = call().then(() => undefined, (error: Error) => error);
    const first = await inTime(Promise.race([called.then(() => "over"), holder.until("held").then(() => "held")]));
    if (first === "held") {
      whileHeld?.();
      patience.end();
    }
    const error = await inTime(called);
    if (error !== undefined) return error;
  }
  throw new Error("never in time");
}

function beside(spec: Spec, pid: number): void {
  spec.linux!.namespaces!.find(({ type }) => type === "pid")!.path = `/proc/${pid}/ns/pid`;
}

Deno.test.each([
  { what: "what opens its proc", mounts: "own", seen: /process \d+ \(sleeping\), .*process \d+ \(stopped\)/ },
  { what: "the process itself", mounts: "bound", seen: /process \d+ \(stopped\)/ },
])(
  "F4: held: create says so in the end if $what is stopped, and leaves nothing",
  { ignore },
  async ({ mounts, seen }) => {
    using bundle = new Bundle();
    await using neighbour = await sleeping(bundle);
    const { container: { pid }, patience } = neighbour;
    const before = bundle.leftovers();
    const spec = bundle.spec(["true"], (spec) => {
      beside(spec, pid);
      const proc = { destination: "/proc", type: "bind", source: "/proc", options: ["rbind"] };
      if (mounts === "bound") spec.mounts = spec.mounts.map((one) => one.type === "proc" ? proc : one);
    });
    const create = async () => {
      const container = await Container.create({ ...bundle.options(spec, "held"), patience });
      await container.delete({ force: true });
    };
    const error = await heldCall({ pid, how: "stop", patience }, create);
    assert.match(
      error.message,
      /^Cannot create container "held": its process was to say "\w+", and did not within 60 s; /,
    );
    assert.match(error.message, seen);
    assert.equal((error as { code?: string }).code, "DEADLINE_EXCEEDED");
    assert.deepEqual(bundle.leftovers(), before);
  },
);

Deno.test.each([
  { how: "stop", seen: /process \d+ \(stopped\)/ },
  { how: "trace", seen: /process \d+ \((stopped|tracing stop), traced by process \d+\)/ },
  { how: "copy", seen: /process \d+ \((sleeping|running)\)/ },
])("F4: held: exec says so in the end, by $how, and its process is killed", { ignore }, async ({ how, seen }) => {
  using bundle = new Bundle();
  await using neighbour = await sleeping(bundle);
  const { container, patience } = neighbour;
  const exec = () => execAndKill(container, EXEC);
  const error = await heldCall({ pid: container.pid, how, patience }, exec);
  assert.match(
    error.message,
    /^Cannot exec in container "c1": its process was to [^,]+, and did not within 60 s; seen: /,
  );
  assert.match(error.message, seen);
  assert.deepEqual(container.pids(), [container.pid]);
});

Deno.test(
  "F4: held: exec whose filter is suspended says so in the end, and its process is killed",
  { ignore },
  async () => {
    using bundle = new Bundle();
    await using neighbour = await sleeping(bundle, ({ linux }) => {
      const names = ["clone", "clone3", "setsid"];
      linux!.seccomp = {
        defaultAction: "SCMP_ACT_ALLOW",
        syscalls: [{ names, action: "SCMP_ACT_ERRNO", errnoRet: 1 }],
      };
    });
    const { container, patience } = neighbour;
    const exec = () => execAndKill(container, { ...EXEC, noNewPrivileges: false });
    const error = await heldCall({ pid: container.pid, how: "stop", patience }, exec);
    // A stop before the guard has let it go is seen by that, which ends.
    assert.match(error.message, /its process was to say "stage2"|it was tampered with before its filter held$/);
    assert.deepEqual(container.pids(), [container.pid]);
  },
);

Deno.test("F4: held: a process that is kept from its end keeps neither exec nor the engine", { ignore }, async () => {
  using bundle = new Bundle();
  await using neighbour = await sleeping(bundle);
  const { container, patience } = neighbour;
  const exec = () => execAndKill(container, EXEC);
  const error = await heldCall({ pid: container.pid, how: "keep", patience }, exec);
  assert.match(error.message, /its process was to /);
  // Its tracer has ended.
  await inTime((async () => {
    while (container.pids().length > 1) await new Promise((resolve) => setTimeout(resolve, 20));
  })());
});

/** Pid of a process in the innermost pid namespace that it is in. */
function innerPid(pid: number): string {
  return /^NSpid:.*\t(\d+)$/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))![1]!;
}

/** A container that waits for its start in the sight of its neighbour. */
async function createdBeside(bundle: Bundle, { container: { pid }, patience }: Awaited<ReturnType<typeof sleeping>>) {
  const container = await Container.create({
    ...bundle.options(bundle.spec(["sleep", "1000"], (spec) => beside(spec, pid)), "held"),
    patience,
  });
  return { container, [Symbol.asyncDispose]: () => container.delete({ force: true }) };
}

Deno.test("F4: held: start says so in the end, and the container can be deleted", { ignore }, async () => {
  using bundle = new Bundle();
  await using neighbour = await sleeping(bundle);
  const { container: { pid } } = neighbour;
  const spec = bundle.spec(["sleep", "1000"], (spec) => beside(spec, pid));
  const container = await Container.create({ ...bundle.options(spec, "held"), patience: { ms: 5_000, endMs: 500 } });
  await using holder = new Holder(pid, "stop", innerPid(container.pid));
  await holder.until("held");
  await assert.rejects(
    inTime(container.start()),
    /Cannot start container "held": its process was to run its program, and did not within 5 s; seen: process \d+ \(stopped\)/,
  );
  await inTime(container.delete({ force: true }));
});

Deno.test(
  "F4: held: delete of what is kept from its end says so, and works once that is over",
  { ignore },
  async () => {
    using bundle = new Bundle();
    await using neighbour = await sleeping(bundle);
    await using made = await createdBeside(bundle, neighbour);
    const { container } = made;
    await container.start();
    {
      await using holder = new Holder(neighbour.container.pid, "keep", innerPid(container.pid));
      await holder.until("held");
      await assert.rejects(inTime(container.delete({ force: true })), /process(es)? \d+.* (stays?|does not end)/);
    }
    await inTime(container.delete({ force: true }));
    assert.equal(neighbour.container.status(), "running");
  },
);

/** Freezes the container's group, as its own processes can if cgroups are mounted writable. */
function freezeFromInside({ spec }: Container): Disposable {
  const { v1, unified } = detectCgroups();
  const group = `${v1.get("freezer") ?? unified}${spec.linux!.cgroupsPath}`;
  const [file, on, off] = v1.has("freezer") ? ["freezer.state", "FROZEN", "THAWED"] : ["cgroup.freeze", "1", "0"];
  Deno.writeTextFileSync(`${group}/${file}`, on!);
  return { [Symbol.dispose]: () => Deno.writeTextFileSync(`${group}/${file}`, off!) };
}

Deno.test.each([{ who: "the container" }, { who: "a command" }])(
  "F4: held: exec waits in what $who has frozen, but not for ever if that is the container itself",
  { ignore },
  async ({ who }) => {
    using bundle = new Bundle();
    const options = { ...bundle.options(bundle.spec(["sleep", "1000"])), patience: { ms: 2_000, endMs: 500 } };
    await using container = await Container.create(options).then((made) =>
      Object.assign(made, { [Symbol.asyncDispose]: () => made.delete({ force: true }) })
    );
    await container.start();
    using frozen = new DisposableStack();
    if (who === "a command") await container.pause();
    else frozen.use(freezeFromInside(container));
    // As one that looked a moment before.
    let isOver = false;
    const called = container.exec(EXEC, { ignorePaused: true }).then(() => undefined, (error: Error) => error)
      .finally(() => isOver = true);
    if (who === "a command") {
      await new Promise((resolve) => setTimeout(resolve, 5_000));
      assert.ok(!isOver);
      await container.resume();
      assert.equal(await inTime(called), undefined);
    } else assert.match((await inTime(called))?.message ?? "it runs", /, and did not within 2 s; |does not end/);
  },
);

Deno.test(
  "F4: held: what opens a proc beside others is bound by the container's limit of processes",
  { ignore },
  async () => {
    using bundle = new Bundle();
    await using neighbour = await sleeping(bundle);
    const { container: { pid }, patience } = neighbour;
    const LIMIT = 20;
    const spec = bundle.spec(["true"], (spec) => {
      beside(spec, pid);
      spec.linux.resources = { pids: { limit: LIMIT } };
    });
    const create = async () => {
      const container = await Container.create({ ...bundle.options(spec, "held"), patience });
      await container.delete({ force: true });
    };
    const { v1, unified } = detectCgroups();
    const limits: string[] = [];
    const whileHeld = () => {
      const group = `${v1.get("pids") ?? unified}${spec.linux!.cgroupsPath}`;
      limits.push(Deno.readTextFileSync(`${group}/pids.max`).trim());
    };
    await heldCall({ pid, how: "stop", patience, whileHeld }, create);
    assert.deepEqual([...new Set(limits)], [`${LIMIT}`]);
  },
);
