/** Events that wait for containerd to take them. Pure. @module */
import type { Any } from "@bufbuild/protobuf/wkt";

/**
 * Kind of an event. An `end` (exit, delete) must reach containerd in any case, so no other kind uses up its room; a
 * guest can cause any number of `notice`s (memory shortage), so they wait for all others.
 */
export type Lane = "end" | "change" | "notice";

export interface QueuedEvent {
  topic: string;
  event: Any;
  atMs: number;
  lane: Lane;
}

const ROOM = {
  end: { events: 16_384, bytes: 8 << 20 },
  change: { events: 2_048, bytes: 8 << 20 },
  notice: { events: 256, bytes: 256 << 10 },
} as const satisfies Record<Lane, { events: number; bytes: number }>;

/** Ends and changes leave in the order in which they came; notices when there are none. */
export class EventQueue {
  readonly #ordered: QueuedEvent[] = [];
  readonly #notices: QueuedEvent[] = [];
  readonly #used = { end: { events: 0, bytes: 0 }, change: { events: 0, bytes: 0 }, notice: { events: 0, bytes: 0 } };

  get length(): number {
    return this.#ordered.length + this.#notices.length;
  }

  /** @returns False if its lane is full: it is not taken. */
  push(event: QueuedEvent): boolean {
    const [used, room] = [this.#used[event.lane], ROOM[event.lane]];
    const bytes = bytesOf(event);
    if (used.events >= room.events || used.bytes + bytes > room.bytes) return false;
    used.events++;
    used.bytes += bytes;
    (event.lane === "notice" ? this.#notices : this.#ordered).push(event);
    return true;
  }

  /** Takes out the one that is to leave next. */
  shift(): QueuedEvent | undefined {
    const event = this.#ordered.shift() ?? this.#notices.shift();
    if (event === undefined) return undefined;
    const used = this.#used[event.lane];
    used.events--;
    used.bytes -= bytesOf(event);
    return event;
  }
}

function bytesOf({ topic, event }: QueuedEvent): number {
  return topic.length + event.typeUrl.length + event.value.length;
}
