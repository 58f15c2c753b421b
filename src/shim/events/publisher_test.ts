import assert from "node:assert/strict";
import { type Any, anyUnpack } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import { KataError } from "../../base/error.ts";
import { createLogger } from "../../base/log.ts";
import { TaskStartSchema } from "../../proto/events_pb.ts";
import { Events } from "../../proto/events_service_pb.ts";
import { packAny } from "../../rpc/ttrpc/any.ts";
import { connectEvents, type EventPublisher } from "./publisher.ts";
import { defineService, serveTtrpc } from "../../rpc/ttrpc/server.ts";

type Forward = ServiceImpl<typeof Events>["forward"];

function start(pid: number): Any {
  return packAny(TaskStartSchema, { containerId: "c1", pid });
}

/** Time that passes at once. */
const clock = { now: () => 1000, sleep: () => Promise.resolve() };

class Fixture implements AsyncDisposable {
  readonly dir = Deno.makeTempDirSync();
  readonly address = `${this.dir}/containerd.sock.ttrpc`;
  readonly logged: string[] = [];
  readonly log = createLogger({ level: "debug", sink: (line) => this.logged.push(JSON.parse(line).msg) });
  #stop = new AbortController();
  #serving: Promise<void> = Promise.resolve();

  serve(forward: Forward): void {
    const listener = Deno.listen({ transport: "unix", path: this.address });
    const { signal } = this.#stop = new AbortController();
    this.#serving = serveTtrpc(listener, [defineService(Events, { forward })], { signal, log: this.log, drainMs: 10 });
  }

  async stopServing(): Promise<void> {
    this.#stop.abort();
    await this.#serving;
  }

  connect(): EventPublisher {
    return connectEvents(this.address, { namespace: "k8s.io", log: this.log, clock });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopServing();
    await Deno.remove(this.dir, { recursive: true });
  }
}

Deno.test("connectEvents() forwards events in order, with topic, namespace, time and type", async () => {
  await using fixture = new Fixture();
  const got: unknown[] = [];
  fixture.serve(({ envelope }, { requestHeader }) => {
    const event = anyUnpack(envelope!.event!, TaskStartSchema);
    assert.equal(envelope?.event?.typeUrl, "containerd.events.TaskStart");
    got.push([envelope?.topic, envelope?.namespace, envelope?.timestamp?.seconds, event?.pid]);
    assert.equal(requestHeader.get("containerd-namespace-ttrpc"), "k8s.io");
    return {};
  });
  {
    await using publisher = fixture.connect();
    for (const pid of [1, 2, 3]) publisher.publish("/tasks/start", start(pid));
  }
  assert.deepEqual(got, [1, 2, 3].map((pid) => ["/tasks/start", "k8s.io", 1n, pid]));
});

Deno.test("connectEvents() goes on in order when containerd comes back", async () => {
  await using fixture = new Fixture();
  const got: number[] = [];
  const forward: Forward = ({ envelope }) => {
    got.push(anyUnpack(envelope!.event!, TaskStartSchema)!.pid);
    return {};
  };
  let tries = 0;
  fixture.serve((request, context) => {
    if (++tries < 4) throw new KataError("UNAVAILABLE", "Not yet");
    return forward(request, context);
  });
  {
    await using publisher = fixture.connect();
    publisher.publish("/tasks/start", start(1));
    publisher.publish("/tasks/start", start(2));
  }
  assert.deepEqual(got, [1, 2]);
  assert.ok(fixture.logged.includes("Trying an event again"));
});

Deno.test("connectEvents() drops an event after six tries, and one that containerd refuses at once", async () => {
  await using fixture = new Fixture();
  {
    await using publisher = fixture.connect();
    publisher.publish("/tasks/start", start(1));
  }
  assert.deepEqual(fixture.logged.filter((line) => line === "Trying an event again").length, 5);
  assert.equal(fixture.logged.at(-1), "Dropping an event: containerd did not take it");
  fixture.logged.length = 0;
  fixture.serve(() => {
    throw new KataError("INVALID_ARGUMENT", "No such topic");
  });
  {
    await using publisher = fixture.connect();
    publisher.publish("/tasks/start", start(1));
  }
  assert.deepEqual(fixture.logged, ["Dropping an event: containerd did not take it"]);
});

Deno.test("connectEvents() queues at most 2048 changes behind the one on its way, and an end all the same", async () => {
  await using fixture = new Fixture();
  const release = Promise.withResolvers<void>();
  fixture.serve(async () => (await release.promise, {}));
  {
    await using publisher = fixture.connect();
    for (let pid = 0; pid < 2051; pid++) publisher.publish("/tasks/start", start(pid));
    assert.deepEqual(fixture.logged, Array(2).fill("Dropping an event: too many are queued"));
    publisher.publish("/tasks/exit", start(0), { lane: "end" });
    assert.equal(fixture.logged.length, 2);
    release.resolve();
  }
});

Deno.test("connectEvents() without an address only logs", async () => {
  const logged: string[] = [];
  const log = createLogger({ sink: (line) => logged.push(JSON.parse(line).topic) });
  await using publisher = connectEvents("", { namespace: "k8s.io", log });
  publisher.publish("/tasks/start", start(1));
  assert.deepEqual(logged, ["/tasks/start"]);
});
