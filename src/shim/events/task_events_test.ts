import assert from "node:assert/strict";
import { type Any, anyUnpack } from "@bufbuild/protobuf/wkt";
import { TaskExitSchema } from "../../proto/events_pb.ts";
import type { Process, ProcessExit } from "../../sandbox/container/process.ts";
import { TaskEvents } from "./task_events.ts";

/** As much of a process as its events need. */
function processWith(execId: string): { process: Process; end: (exit: ProcessExit) => void } {
  const { promise, resolve } = Promise.withResolvers<ProcessExit>();
  return { process: { containerId: "c1", execId, exited: promise } as Process, end: resolve };
}

Deno.test.each([
  { execId: "", id: "c1" },
  { execId: "e1", id: "e1" },
])("TaskEvents.followExit() announces the end of exec '$execId' as '$id', once", async ({ execId, id }) => {
  const seen: { topic: string; event: Any }[] = [];
  const events = new TaskEvents((topic, event) => seen.push({ topic, event }));
  const { process, end } = processWith(execId);
  events.followExit(process, 42);
  events.followExit(process, 42);
  assert.equal(seen.length, 0);
  end({ status: 143, at: new Date(1_500) });
  await process.exited;
  await Promise.resolve();
  assert.deepEqual(seen.map(({ topic }) => topic), ["/tasks/exit"]);
  const exit = anyUnpack(seen[0]!.event, TaskExitSchema);
  assert.equal(seen[0]!.event.typeUrl, "containerd.events.TaskExit");
  assert.deepEqual([exit?.containerId, exit?.id, exit?.pid, exit?.exitStatus], ["c1", id, 42, 143]);
  assert.deepEqual([exit?.exitedAt?.seconds, exit?.exitedAt?.nanos], [1n, 500_000_000]);
});

Deno.test.each([
  { name: "a negative status", exit: { status: -1, at: new Date(0) } },
  { name: "a time that is none", exit: { status: 0, at: new Date(NaN) } },
])("F8: TaskEvents.followExit() announces an end with $name as one that nobody saw", async ({ exit }) => {
  const seen: { topic: string; event: Any; lane: string }[] = [];
  const events = new TaskEvents((topic, event, { lane }) => seen.push({ topic, event, lane }));
  const { process, end } = processWith("");
  events.followExit(process, 42);
  end(exit);
  await process.exited;
  await Promise.resolve();
  assert.deepEqual(seen.map(({ topic, lane }) => [topic, lane]), [["/tasks/exit", "end"]]);
  assert.equal(anyUnpack(seen[0]!.event, TaskExitSchema)?.exitStatus, 255);
});

Deno.test("F6: TaskEvents puts a memory shortage into a lane of its own", () => {
  const lanes: string[] = [];
  const events = new TaskEvents((topic, _event, { lane }) => lanes.push(`${topic} ${lane}`));
  events.emit("start", { containerId: "c1" });
  events.emit("oom", { containerId: "c1" });
  events.emit("delete", { containerId: "c1" });
  assert.deepEqual(lanes, ["/tasks/start change", "/tasks/oom notice", "/tasks/delete end"]);
});
