/** Frames over a byte stream, for both ends of a connection. @module */
import { nextTurn } from "../../base/turn.ts";
import type { Duplex } from "../transport/duplex.ts";
import { type Frame, FrameDecoder, FrameEncoder } from "./frame.ts";

/** Frames that wait for a slow peer, in bytes; beyond it there is no {@linkcode FrameChannel.room}. */
const MAX_BACKLOG_BYTES = 8 << 20;

/**
 * Frames that came together are handed over in runs, this one the first and each later one twice as long, and what a run
 * sets off is written before the next one: else all answers go out at once, and the two ends take turns in working, each
 * idle while the other one is not. A turn of the event loop costs as much as some frames do, hence the longer ones.
 */
const FIRST_RUN_FRAMES = 4;

export class FrameChannel {
  readonly #duplex: Duplex;
  readonly #decoder = new FrameDecoder();
  readonly #encoder = new FrameEncoder();
  #flushing: Promise<void> | undefined;
  #isClosed = false;

  constructor(duplex: Duplex) {
    this.#duplex = duplex;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Queues a frame; all frames of this turn of the event loop go out in one write. @throws {RangeError} If too long. */
  send(streamId: number, kind: { type: number; flags: number }, ...pieces: Uint8Array[]): void {
    if (this.#isClosed) return;
    this.#encoder.frame(streamId, kind, ...pieces);
    this.#flushing ??= this.#flush();
  }

  /** More is queued than a peer that reads leaves: who has much to send waits for {@linkcode room} first. */
  get isCrowded(): boolean {
    return this.#encoder.length > MAX_BACKLOG_BYTES;
  }

  /**
   * Waits while the peer is so slow that too much is queued for it; never rejects. All who wait have the same promise, which
   * keeps nothing of those who give up by `abortable`.
   */
  room(): Promise<void> {
    return this.isCrowded && this.#flushing !== undefined ? this.#flushing : Promise.resolve();
  }

  /**
   * Hands each frame to `onFrame` until the peer sends no more.
   *
   * @param beforeRead What to wait for before each read. A server waits for {@linkcode room}, so that a peer who does not
   * take answers can ask no more; a client must not, or both ends could wait for each other.
   * @throws If the stream fails or is closed by us.
   */
  async receive(onFrame: (frame: Frame) => void, beforeRead?: () => Promise<void>): Promise<void> {
    const decoder = this.#decoder;
    for (;;) {
      if (beforeRead !== undefined) await beforeRead();
      const count = await this.#duplex.read(decoder.space());
      if (count === null || count === 0) return;
      decoder.filled(count);
      let [run, handed] = [FIRST_RUN_FRAMES, 0];
      for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) {
        if (handed === run) {
          await nextTurn();
          handed = 0;
          run *= 2;
        }
        onFrame(frame);
        handed++;
      }
    }
  }

  /** Closes once all frames have been written, at the latest after `ms`: the peer may not be reading. */
  async closeFlushed(ms: number): Promise<void> {
    if (this.#flushing !== undefined && !this.#isClosed) {
      const timer = setTimeout(() => this.close(), ms);
      await this.#flushing;
      clearTimeout(timer);
    }
    this.close();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#duplex.close();
  }

  async #flush(): Promise<void> {
    await undefined; // lets what else happens in this turn join the write
    try {
      while (this.#encoder.length > 0) {
        const bytes = this.#encoder.take();
        let at = await this.#duplex.write(bytes);
        while (at < bytes.length) at += await this.#duplex.write(bytes.subarray(at));
      }
    } catch {
      // The read side fails as well, and it is the one that reports.
      this.close();
    }
    this.#flushing = undefined;
  }
}
