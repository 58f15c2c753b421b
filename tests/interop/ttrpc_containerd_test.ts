/**
 * Our ttRPC against that of Go, whose authors define the protocol: our client calls Debian's runc shim and forwards events
 * to containerd, and containerd calls our server as if it were a shim.
 */
import assert from "node:assert/strict";
import { Code, ConnectError, createClient, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import { createLogger } from "../../src/base/log.ts";
import { TaskExitSchema, TaskOOMSchema } from "../../src/proto/events_pb.ts";
import { Status } from "../../src/proto/task_types_pb.ts";
import { Task } from "../../src/proto/task_v2_pb.ts";
import { dial, listen } from "../../src/rpc/transport/address.ts";
import { packAny } from "../../src/rpc/ttrpc/any.ts";
import { createTtrpcTransport, defineService, serveTtrpc } from "../../src/rpc/ttrpc/mod.ts";
import { connectEvents } from "../../src/shim/events/publisher.ts";
import { Containerd, releases } from "./containerd.ts";
import { IMAGE } from "./image.ts";
import { until } from "../support/wait.ts";

const log = createLogger({ sink: () => {} });

for (const release of releases()) {
  const { version } = release;

  Deno.test(`containerd ${version} takes our events in order, and hands them on`, async () => {
    await using containerd = await Containerd.start({ release });
    const watcher = containerd.spawnCtr(["events"]);
    let text = "";
    const reading = (async () => {
      for await (const part of watcher.stdout.pipeThrough(new TextDecoderStream())) text += part;
    })();
    {
      await using events = connectEvents(`${containerd.directory}/c.sock.ttrpc`, { namespace: "default", log });
      // ctr does not say when it has begun to listen.
      await until(() => {
        events.publish("/tasks/oom", packAny(TaskOOMSchema, { containerId: "c1" }));
        return text.includes("/tasks/oom");
      });
      for (const exitStatus of [1, 2, 3]) {
        const event = { containerId: "c1", id: "c1", pid: 42, exitStatus };
        events.publish("/tasks/exit", packAny(TaskExitSchema, event));
      }
    }
    await until(() => text.includes(`"exit_status":3`));
    watcher.kill("SIGTERM");
    await Promise.all([watcher.stdin.close(), watcher.stderr.cancel(), watcher.status, reading]);
    const seen = [...text.matchAll(/default (\S+) \{"container_id":"c1","id":"c1","pid":42,"exit_status":(\d)/g)];
    assert.deepEqual(seen.map(([, topic, status]) => `${topic} ${status}`), [1, 2, 3].map((n) => `/tasks/exit ${n}`));
  });

  Deno.test(`our client calls the runc shim of containerd ${version}`, async () => {
    await using containerd = await Containerd.start({ release });
    await containerd.must("run", "-d", "--runtime", "io.containerd.runc.v2", IMAGE, "ttrpc", "/bin/sleep", "inf");
    await using _container = { [Symbol.asyncDispose]: () => containerd.remove("ttrpc") };
    const bundle = `${containerd.directory}/state/io.containerd.runtime.v2.task/default/ttrpc`;
    using transport = createTtrpcTransport(await dial(await shimAddress(bundle)), { peer: "the runc shim" });
    const shim = createClient(Task, transport);

    const state = await shim.state({ id: "ttrpc" });
    assert.equal(state.status, Status.RUNNING);
    assert.equal((await shim.connect({ id: "ttrpc" })).taskPid, state.pid);
    const { processes } = await shim.pids({ id: "ttrpc" });
    assert.deepEqual(processes.map(({ pid }) => pid), [state.pid]);

    const unknown = await shim.state({ id: "nobody" }).then(() => assert.fail(), (error) => error);
    assert.ok(unknown instanceof ConnectError);
    assert.equal(unknown.code, Code.NotFound);
    const late = await shim.wait({ id: "ttrpc" }, { timeoutMs: 50 }).then(() => assert.fail(), (error) => error);
    assert.equal(late.code, Code.DeadlineExceeded);

    const waiting = shim.wait({ id: "ttrpc" });
    const many = await Promise.all(Array.from({ length: 100 }, () => shim.pids({ id: "ttrpc" })));
    assert.equal(many.length, 100);
    await shim.kill({ id: "ttrpc", signal: 9, all: true });
    assert.equal((await waiting).exitStatus, 137);
    transport[Symbol.dispose]();
    await transport.closed;
  });

  Deno.test(`containerd ${version} calls our server, as its client ctr run sees it`, async () => {
    await using containerd = await Containerd.start({ release });
    const socket = `${containerd.directory}/fake.sock`;
    const script = `#!/bin/sh\ncase "$*" in *delete*) ;; *) echo unix://${socket} ;; esac\n`;
    await Deno.writeTextFile(`${containerd.directory}/bin/containerd-shim-fake-v2`, script, { mode: 0o755 });
    const calls: string[] = [];
    const stop = new AbortController();
    const shim = defineService(Task, fakeShim((call) => calls.push(call)));
    const serving = serveTtrpc(listen(`unix://${socket}`), [shim], { signal: stop.signal, log });

    const { status } = await containerd.ctr("run", "--rm", "--runtime", "io.containerd.fake.v2", IMAGE, "fake");
    assert.equal(status, 7, containerd.log().slice(-2000));
    await until(() => calls.includes("Shutdown in time"));
    stop.abort();
    await serving;
    const order = ["Create", "Start", "Delete", "Shutdown in time"].map((call) => calls.indexOf(call));
    assert.deepEqual(order.toSorted((a, b) => a - b), order);
    assert.ok(order[0]! >= 0 && calls.includes("Wait"), calls.join());
  });
}

/** containerd 1.6 leaves the address in the bundle as text, 2.x as JSON. */
async function shimAddress(bundle: string): Promise<string> {
  try {
    return JSON.parse(await Deno.readTextFile(`${bundle}/bootstrap.json`)).address;
  } catch {
    return await Deno.readTextFile(`${bundle}/address`);
  }
}

/** A shim whose only process ends at once with status 7. Notes each call, and which has a deadline. */
function fakeShim(note: (call: string) => void): Partial<ServiceImpl<typeof Task>> {
  const noted = <T>(answer: T) => (_request: unknown, { method, timeoutMs }: HandlerContext): T => {
    note(timeoutMs() === undefined ? method.name : `${method.name} in time`);
    return answer;
  };
  const exit = { exitStatus: 7, exitedAt: { seconds: 1n } };
  return {
    create: noted({ pid: 42 }),
    start: noted({ pid: 42 }),
    wait: noted(exit),
    state: noted({ id: "fake", pid: 42, status: Status.STOPPED, ...exit }),
    delete: noted({ pid: 42, ...exit }),
    connect: noted({ shimPid: Deno.pid, taskPid: 42 }),
    pids: noted({ processes: [{ pid: 42 }] }),
    kill: noted({}),
    shutdown: noted({}),
  };
}
