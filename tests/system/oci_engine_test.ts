/** The container engine on the real kernel: the life of a container. Needs root and busybox-static. */
import assert from "node:assert/strict";
import { errorChain } from "../../src/base/error.ts";
import { pipe } from "../../src/linux/io/fd.ts";
import { SIGNALS } from "../../src/linux/process/signal.ts";
import { Container } from "../../src/oci/container/container.ts";
import type { Process } from "../../src/oci/spec/spec.ts";
import { Bundle, codeOf, isReady, NOT_READY, readAll, TestContainer } from "./oci_bundle.ts";
import { leftOut } from "../../src/base/testing/left_out.ts";
import { until } from "../support/wait.ts";

const ignore = leftOut(import.meta, !isReady() && NOT_READY);

/** Open descriptors of this process, and processes that it started. */
function held(): { fds: number; children: number } {
  const fds = [...Deno.readDirSync("/proc/self/fd")].length;
  const children = [...Deno.readDirSync("/proc/self/task")].flatMap(({ name }) =>
    Deno.readTextFileSync(`/proc/self/task/${name}/children`).split(" ").filter((pid) => pid.trim() !== "")
  );
  return { fds, children: children.length };
}

/** Checks that soon nothing more is held than before; what an earlier test let go of late may be missing. */
async function assertNotMore(before: ReturnType<typeof held>): Promise<void> {
  const isClean = () => {
    const { fds, children } = held();
    return fds <= before.fds && children <= before.children;
  };
  await until(isClean).catch(() => assert.deepEqual(held(), before));
}

function process(args: readonly string[], change: Partial<Process> = {}): Process {
  return { user: { uid: 0, gid: 0 }, args: [...args], env: ["PATH=/bin"], cwd: "/", ...change };
}

Deno.test({ name: "Container goes from created over running to stopped, and prints", ignore }, async () => {
  using bundle = new Bundle();
  await using made = await TestContainer.create(bundle.options(bundle.spec(["sh", "-c", "hostname; exit 7"])));
  const { container } = made;
  assert.equal(container.status(), "created");
  assert.equal(container.state().pid, container.pid);
  await container.start();
  assert.equal(await codeOf(container.init), 7);
  assert.equal(container.status(), "stopped");
  assert.equal(container.state().pid, 0);
  assert.equal(await made.output, "box\n");
});

Deno.test.each([
  { name: "SIGTERM", code: 143 },
  { name: "SIGKILL", code: 137 },
  { name: "SIGINT", code: 130 },
])("B1: a container that $name ends has status $code", { ignore }, async ({ name, code }) => {
  using bundle = new Bundle();
  // A first process of a pid namespace ignores what it does not handle: so the shell handles and passes it on.
  const spec = bundle.spec(["sleep", "100"], ({ linux }) => linux.namespaces = [{ type: "mount" }, { type: "uts" }]);
  await using made = await TestContainer.create(bundle.options(spec));
  await made.container.start();
  await made.container.kill(SIGNALS[name as keyof typeof SIGNALS]);
  assert.equal(await codeOf(made.container.init), code);
});

Deno.test({ name: "Container.exec() joins the container, with its own output and status", ignore }, async () => {
  using bundle = new Bundle();
  await using made = await TestContainer.create(bundle.options(bundle.spec(["sleep", "100"])));
  await made.container.start();
  using output = pipe();
  const script = "hostname; cat /proc/1/cmdline; exit 3";
  const joined = await made.container.exec(process(["sh", "-c", script]), { stdio: { stdout: output.write } });
  assert.equal(await readAll(output), "box\nsleep\u0000100\u0000");
  assert.equal(await codeOf(joined), 3);
  assert.deepEqual(made.container.pids(), [made.container.pid]);
});

Deno.test({ name: "Container.exec() says what is not there, and leaves no process", ignore }, async () => {
  using bundle = new Bundle();
  await using made = await TestContainer.create(bundle.options(bundle.spec(["sleep", "100"])));
  await made.container.start();
  await assert.rejects(made.container.exec(process(["nonsense"])), {
    message: 'exec: "nonsense": executable file not found in $PATH',
  });
  await assert.rejects(
    made.container.exec(process(["sh"], { cwd: "/nowhere" })),
    /change to directory \/nowhere: ENOENT/,
  );
  assert.deepEqual(made.container.pids(), [made.container.pid]);
});

Deno.test.each([
  { args: ["nonsense"], message: 'exec: "nonsense": executable file not found in $PATH' },
  { args: ["/bin/nonsense"], message: 'exec: "/bin/nonsense": stat /bin/nonsense: no such file or directory' },
  { args: ["/etc/passwd"], message: 'exec: "/etc/passwd": permission denied' },
])("Container.create() refuses $args and leaves nothing", { ignore }, async ({ args, message }) => {
  using bundle = new Bundle();
  const before = held();
  await assert.rejects(Container.create(bundle.options(bundle.spec(args))), { message });
  assert.deepEqual(bundle.leftovers(), []);
  await assertNotMore(before);
});

Deno.test({ name: "Container.create() names the mount that fails and leaves nothing", ignore }, async () => {
  using bundle = new Bundle();
  const before = held();
  const bad = (mount: { destination: string; type?: string; source?: string; options?: string[] }) =>
    Container.create(bundle.options(bundle.spec(["true"], ({ mounts }) => mounts.push(mount))));
  await assert.rejects(bad({ destination: "/data", source: "/nowhere", options: ["bind"] }), (error) => {
    return errorChain(error).startsWith('Cannot mount "/nowhere" on "/data"');
  });
  await assert.rejects(bad({ destination: "/data", type: "nofs", source: "x" }), {
    message: /mount x on \/data: ENODEV/,
  });
  await assert.rejects(bad({ destination: "/proc/1", type: "tmpfs" }), { code: "INVALID_ARGUMENT" });
  // A mount on the root is the root, and this one has no program.
  await assert.rejects(bad({ destination: "/", type: "tmpfs" }), { code: "NOT_FOUND" });
  assert.deepEqual(bundle.leftovers(), []);
  await assertNotMore(before);
});

Deno.test({ name: "Container.create() refuses an id that is taken, and leaves its owner alone", ignore }, async () => {
  using bundle = new Bundle();
  await using made = await TestContainer.create(bundle.options(bundle.spec(["sleep", "100"]), "same"));
  await assert.rejects(Container.create(bundle.options(bundle.spec(["true"]), "same")), { code: "ALREADY_EXISTS" });
  assert.equal(made.container.status(), "created");
});

Deno.test(
  { name: "Container.load() finds a container that another program made and can do all with it", ignore },
  async () => {
    using bundle = new Bundle();
    const options = bundle.options(bundle.spec(["sleep", "100"]), "other");
    await using made = await TestContainer.create(options);
    const loaded = Container.load("other", options);
    assert.equal(loaded.status(), "created");
    await loaded.start();
    assert.equal(loaded.status(), "running");
    await assert.rejects(loaded.start(), { code: "FAILED_PRECONDITION" });
    await loaded.kill(SIGNALS.SIGKILL);
    assert.equal(await codeOf(made.container.init), 137);
    await assert.rejects(loaded.kill(SIGNALS.SIGTERM), /container not running/);
    assert.throws(() => Container.load("nobody", options), { code: "NOT_FOUND" });
  },
);

Deno.test.each([
  { shared: "a pid namespace of its own", namespaces: ["pid"] as const },
  { shared: "a shared pid namespace", namespaces: [] },
])("B7: killing a container with $shared takes its background processes", { ignore }, async ({ namespaces }) => {
  using bundle = new Bundle();
  const spec = bundle.spec(["sh", "-c", "echo ready; sleep 1000 & sleep 1000 & wait"], ({ linux }) => {
    linux.namespaces = [{ type: "mount" }, { type: "uts" }, ...namespaces.map((type) => ({ type }))];
  });
  await using made = await TestContainer.create(bundle.options(spec));
  await made.container.start();
  await until(() => made.container.pids().length >= 3);
  await made.container.kill(SIGNALS.SIGKILL);
  assert.equal(await codeOf(made.container.init), 137);
  // The end of the pipe: nobody holds its other end any more.
  assert.equal(await made.output, "ready\n");
  assert.deepEqual(made.container.pids(), []);
});

Deno.test({ name: "B2: Container.delete() kills what still runs, after the first process too", ignore }, async () => {
  using bundle = new Bundle();
  const spec = bundle.spec(["sh", "-c", "sleep 1000 & exit 0"], ({ linux }) => {
    linux.namespaces = [{ type: "mount" }, { type: "uts" }];
  });
  const made = await TestContainer.create(bundle.options(spec));
  await made.container.start();
  assert.equal(await codeOf(made.container.init), 0);
  assert.equal(made.container.pids().length, 1);
  await made.container.delete();
  await made.output;
  assert.deepEqual(bundle.leftovers(), []);
});

Deno.test({ name: "Container.delete() refuses a running container without force", ignore }, async () => {
  using bundle = new Bundle();
  await using made = await TestContainer.create(bundle.options(bundle.spec(["sleep", "100"])));
  await made.container.start();
  await assert.rejects(made.container.delete(), { code: "FAILED_PRECONDITION" });
  assert.equal(made.container.status(), "running");
});

Deno.test({ name: "Container.pause() stops it, resume() goes on, SIGKILL ends a paused one", ignore }, async () => {
  using bundle = new Bundle();
  await using made = await TestContainer.create(bundle.options(bundle.spec(["sleep", "100"])));
  const { container } = made;
  await container.start();
  await container.pause();
  assert.equal(container.status(), "paused");
  await assert.rejects(container.exec(process(["true"])), { code: "FAILED_PRECONDITION" });
  await container.resume();
  assert.equal(container.status(), "running");
  await container.pause();
  await container.kill(SIGNALS.SIGKILL);
  assert.equal(await codeOf(container.init), 137);
});

Deno.test(
  { name: "Container hooks run at their moments, with the state, and a failing one stops it", ignore },
  async () => {
    using bundle = new Bundle();
    const log = `${bundle.path}/hooks`;
    const hook = (name: string) => ({
      path: "/bin/sh",
      args: ["sh", "-c", `echo "${name} $(sed 's/.*"status":"\\([a-z]*\\)".*/\\1/') $(hostname)" >>${log}`],
      env: ["PATH=/bin:/usr/bin"],
    });
    const spec = bundle.spec(["true"], (spec) => {
      spec.hooks = {
        prestart: [hook("prestart")],
        createRuntime: [hook("createRuntime")],
        createContainer: [hook("createContainer")],
        startContainer: [{ path: "/bin/touch", args: ["touch", "/tmp/started"] }],
        poststart: [hook("poststart")],
        poststop: [hook("poststop")],
      };
    });
    {
      await using made = await TestContainer.create(bundle.options(spec));
      await made.container.start();
      assert.equal(await codeOf(made.container.init), 0);
    }
    const host = Deno.hostname();
    assert.deepEqual(Deno.readTextFileSync(log).trim().split("\n"), [
      `prestart creating ${host}`,
      `createRuntime creating ${host}`,
      "createContainer creating box",
      `poststart ${/poststart (\w+)/.exec(Deno.readTextFileSync(log))?.[1]} ${host}`,
      `poststop stopped ${host}`,
    ]);
    assert.ok(Deno.statSync(`${bundle.rootfs}/tmp/started`).isFile);
    const failing = bundle.spec(["true"], (spec) => {
      spec.hooks = { createRuntime: [{ path: "/bin/sh", args: ["sh", "-c", "echo why >&2; exit 5"] }] };
    });
    await assert.rejects(Container.create(bundle.options(failing)), (error) => {
      return errorChain(error) ===
        'Cannot run createRuntime hook 0, "/bin/sh": it ended with status 5, saying: why';
    });
    assert.deepEqual(bundle.leftovers(), []);
  },
);

Deno.test(
  { name: "Container leaves no mounts, cgroups, descriptors or processes after 20 lives", ignore },
  async () => {
    using bundle = new Bundle();
    await bundle.run(["true"]);
    const before = held();
    for (let life = 0; life < 20; life++) assert.equal((await bundle.run(["true"])).code, 0);
    await assertNotMore(before);
    assert.deepEqual(bundle.leftovers(), []);
  },
);

Deno.test({ name: "Container passes stdin through, and its end", ignore }, async () => {
  using bundle = new Bundle();
  using input = pipe();
  using output = pipe();
  const spec = bundle.spec(["cat"]);
  const container = await Container.create({
    ...bundle.options(spec),
    stdio: { stdin: input.read, stdout: output.write },
  });
  await container.start();
  input.write.writeAll(new TextEncoder().encode("through"));
  input[Symbol.dispose]();
  assert.equal(await readAll(output), "through");
  assert.equal(await codeOf(container.init), 0);
  await container.delete();
});

Deno.test({ name: "A container that waits for its start holds nothing of another one", ignore }, async () => {
  using bundle = new Bundle();
  await using first = await TestContainer.create(bundle.options(bundle.spec(["echo", "first"])));
  await using second = await TestContainer.create(bundle.options(bundle.spec(["echo", "second"])));
  await first.container.start();
  // The end of its output, while the second one is parked.
  assert.equal(await first.output, "first\n");
  await second.container.start();
  assert.equal(await second.output, "second\n");
});

Deno.test({ name: "Containers are created, started, joined and deleted side by side", ignore }, async () => {
  using bundle = new Bundle();
  await bundle.run(["true"]);
  const before = held();
  const lives = Array.from({ length: 12 }, async (_, index) => {
    await using made = await TestContainer.create(
      bundle.options(bundle.spec(["sh", "-c", `echo ${index}; sleep 100`])),
    );
    await made.container.start();
    const joined = await Promise.all(
      [1, 2, 3].map((code) => made.container.exec(process(["sh", "-c", `exit ${code}`]))),
    );
    assert.deepEqual(await Promise.all(joined.map(codeOf)), [1, 2, 3]);
    await made.container.kill(SIGNALS.SIGKILL);
    assert.equal(await made.output, `${index}\n`);
  });
  await Promise.all(lives);
  await assertNotMore(before);
  assert.deepEqual(bundle.leftovers(), []);
});

Deno.test({ name: "Container.delete() of one that was never started leaves nothing", ignore }, async () => {
  using bundle = new Bundle();
  const made = await TestContainer.create(bundle.options(bundle.spec(["sleep", "100"])));
  await made.container.delete();
  assert.equal(await made.output, "");
  assert.equal(await codeOf(made.container.init), 137);
  assert.deepEqual(bundle.leftovers(), []);
});

Deno.test({ name: "A hook that takes longer than its timeout is killed, and stops it", ignore }, async () => {
  using bundle = new Bundle();
  const spec = bundle.spec(["true"], (spec) => {
    spec.hooks = { prestart: [{ path: "/bin/sleep", args: ["sleep", "100"], timeout: 1 }] };
  });
  await assert.rejects(Container.create(bundle.options(spec)), (error) => {
    return errorChain(error).startsWith('Cannot run prestart hook 0, "/bin/sleep": ');
  });
  assert.deepEqual(bundle.leftovers(), []);
});
