/** Hands a new resource to its caller, who may be gone by then. @module */
import { KataError } from "../base/error.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";

/**
 * Waits until a sandbox has the container that somebody asked for. The sandbox stops as soon as he is gone: as long as it
 * has no container, an engine that is back takes the task for one that has ended, and forgets it.
 *
 * @param making The container.
 * @throws {KataError} CANCELED if it is made, but nobody asks for it any more; else why it is not made.
 */
export async function unlessGone(
  making: Promise<unknown>,
  { sandbox, signal }: { sandbox: Sandbox; signal: AbortSignal | undefined },
): Promise<void> {
  const stop = () => void sandbox.stop();
  if (signal?.aborted) stop();
  signal?.addEventListener("abort", stop);
  try {
    await making;
  } finally {
    signal?.removeEventListener("abort", stop);
  }
  if (signal?.aborted) {
    throw new KataError("CANCELED", `Cannot hand over sandbox "${sandbox.id}": who asked for it is gone`);
  }
}
