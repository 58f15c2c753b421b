/** Events about tasks for containerd. @module */
import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import { type Any, type Timestamp, timestampFromDate } from "@bufbuild/protobuf/wkt";
import * as events from "../../proto/events_pb.ts";
import { packAny } from "../../rpc/ttrpc/any.ts";
import type { Lane } from "./queue.ts";
import type { Process, ProcessExit } from "../../sandbox/container/process.ts";
import { LOST_STATUS } from "../../sandbox/container/status.ts";

const EVENTS = {
  create: { topic: "/tasks/create", schema: events.TaskCreateSchema },
  start: { topic: "/tasks/start", schema: events.TaskStartSchema },
  exit: { topic: "/tasks/exit", schema: events.TaskExitSchema, lane: "end" },
  delete: { topic: "/tasks/delete", schema: events.TaskDeleteSchema, lane: "end" },
  execAdded: { topic: "/tasks/exec-added", schema: events.TaskExecAddedSchema },
  execStarted: { topic: "/tasks/exec-started", schema: events.TaskExecStartedSchema },
  oom: { topic: "/tasks/oom", schema: events.TaskOOMSchema, lane: "notice" },
  paused: { topic: "/tasks/paused", schema: events.TaskPausedSchema },
  resumed: { topic: "/tasks/resumed", schema: events.TaskResumedSchema },
} as const satisfies Record<string, { topic: string; schema: DescMessage; lane?: Lane }>;

type Kind = keyof typeof EVENTS;

/** Sends one event after the other, in order; it never throws, as containerd may be away. */
export type Publish = (topic: string, event: Any, options: { lane: Lane }) => void;

/**
 * Publishes events in containerd's order: create, start, exit, delete.
 *
 * Each event waits until containerd took the one before. So an exit, which is asked for after the start event, cannot be
 * seen before the answer to Start, which is written while the start event is on its way.
 */
export class TaskEvents {
  readonly #publish: Publish;
  readonly #followed = new WeakSet<Process>();

  constructor(publish: Publish) {
    this.#publish = publish;
  }

  emit<K extends Kind>(kind: K, event: MessageInitShape<typeof EVENTS[K]["schema"]>): void {
    const { topic, schema, lane = "change" }: { topic: string; schema: DescMessage; lane?: Lane } = EVENTS[kind];
    this.#publish(topic, packAny(schema, event as MessageInitShape<typeof schema>), { lane });
  }

  /** Announces the end of a process once, however often it is called. Call it after its start was announced. */
  followExit(process: Process, pid: number): void {
    if (this.#followed.has(process)) return;
    this.#followed.add(process);
    // Never rejects, and ends with the process or its VM.
    void process.exited.then((exit) => {
      const { containerId, execId } = process;
      const end = { containerId, id: execId || containerId, pid };
      try {
        this.emit("exit", { ...end, ...wireExit(exit) });
      } catch {
        // An end that cannot be encoded is reported as lost: its waiter must not wait for ever.
        this.emit("exit", { ...end, ...wireExit({ status: LOST_STATUS, at: new Date() }) });
      }
    });
  }
}

/** The two fields that every message about an end has. */
export function wireExit(exit: ProcessExit | undefined): { exitStatus: number; exitedAt?: Timestamp } {
  if (exit === undefined) return { exitStatus: 0 };
  return { exitStatus: exit.status, exitedAt: timestampFromDate(exit.at) };
}
