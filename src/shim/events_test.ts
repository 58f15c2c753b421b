import assert from "node:assert/strict";
import { type Any, anyUnpack } from "@bufbuild/protobuf/wkt";
import { TaskExitSchema } from "../proto/events_pb.ts";
import type { Process, ProcessExit } from "../sandbox/process.ts";
import { TaskEvents } from "./events.ts";

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
