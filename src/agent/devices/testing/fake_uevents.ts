/** A kernel that tells of devices what a test has it tell. @module */
import type { Uevent } from "../../../linux/device/uevent.ts";
import type { UeventSource } from "../waiter.ts";

/** Sockets that hear what {@linkcode tell} is told. */
export class FakeUevents {
  /** Sockets that were opened so far. */
  opened = 0;
  readonly #open = new Set<ReadableStreamDefaultController<Uevent>>();

  /** Sockets that are open now. */
  get open(): number {
    return this.#open.size;
  }

  listen(): UeventSource {
    this.opened++;
    let controller: ReadableStreamDefaultController<Uevent>;
    const stream = new ReadableStream<Uevent>({ start: (own) => void (controller = own) });
    this.#open.add(controller!);
    return {
      async *events({ signal } = {}) {
        const onAbort = () => controller.error(signal?.reason);
        signal?.addEventListener("abort", onAbort, { once: true });
        yield* stream;
        throw new Error("the socket has ended");
      },
      [Symbol.dispose]: () => void this.#open.delete(controller),
    };
  }

  /** Tells all who listen, and lets them act on it. */
  async tell(event: Partial<Uevent>): Promise<void> {
    for (const controller of this.#open) {
      controller.enqueue({
        action: "add",
        devPath: "/devices/x",
        subsystem: "",
        devName: undefined,
        fields: new Map(),
        ...event,
      });
    }
    await new Promise((resolve) => setTimeout(resolve, 0));
  }

  /** Ends all sockets with an error. */
  async fail(error: Error): Promise<void> {
    this.#open.forEach((controller) => controller.error(error));
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
}
