/** The services that a shim offers, wired to one implementation. @module */
import { Task as TaskV2 } from "../proto/task_v2_pb.ts";
import { Task as TaskV3 } from "../proto/task_v3_pb.ts";
import { defineService, type TtrpcService } from "../rpc/ttrpc/server.ts";
import type { TaskService } from "./task_service.ts";

/** containerd 1.x and 2.x call version 2 of a shim that announces a bare address; version 3 has the same calls. */
export function shimServices(tasks: TaskService): TtrpcService[] {
  return [defineService(TaskV2, tasks), defineService(TaskV3, tasks)];
}
