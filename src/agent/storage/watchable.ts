/** Volumes whose changes on the host containers hear of: a copy in memory that the agent keeps up to date. @module */
import { errorCode } from "../../base/error.ts";
import type { Logger } from "../../base/log.ts";
import { openGuarded } from "../../linux/fs/guarded_path.ts";
import { O_DIRECTORY, O_PATH, pathOf } from "../../linux/io/fd.ts";
import { MS } from "../../linux/mount/mount_options.ts";
import { refusePart } from "../files/guest_path.ts";
import {
  attachedAt,
  type AttachedStorage,
  onlyOne,
  type Places,
  type StorageContext,
  type StorageGroup,
} from "./handler.ts";
import { mountAt } from "./mount_point.ts";
import { type CopyLimits, WatchedCopy } from "./watched_copy.ts";

/** As Kata's agent looks. */
const EVERY_MS = 2_000;
/** Beyond it the volume is shown as it is on the host, and no change is told. */
const AT_FIRST: CopyLimits = { entries: 256, bytes: 1 << 20 };
/** An update may need more: what a container has is a copy already. */
const LATER: CopyLimits = { entries: 4096, bytes: 16 << 20 };
/** Two versions are there for a moment, each entry of which takes a page at least. */
const TMPFS = `mode=0755,size=${2 * (LATER.bytes + LATER.entries * 4096)},nr_inodes=${2 * LATER.entries + 16}`;

/** Copies the volume, and looks for updates until it is released. */
export async function attachWatchable(
  group: StorageGroup,
  { place, guard, log }: Pick<StorageContext, "log"> & Places,
): Promise<AttachedStorage> {
  const storage = onlyOne(group);
  using undo = new DisposableStack();
  const source = undo.use(openGuarded(refusePart(guard(storage.source)), O_PATH | O_DIRECTORY));
  const memory = mountAt(place, "tmpfs", { type: "tmpfs", flags: MS.NOSUID | MS.NODEV, data: TMPFS });
  try {
    using stack = new DisposableStack();
    stack.use(memory);
    const target = stack.use(openGuarded(place, O_PATH | O_DIRECTORY));
    const copy = new WatchedCopy({ source, target });
    await copy.fill(AT_FIRST);
    stack.use(follow(copy, { log, volume: storage.source }));
    undo.use(stack.move());
  } catch (error) {
    if (errorCode(error) !== "FAILED_PRECONDITION" && errorCode(error) !== "RESOURCE_EXHAUSTED") throw error;
    log.warning("Changes of a volume are not told to who watches it", { volume: storage.source, error });
    undo.use(mountAt(place, pathOf(source), { flags: MS.BIND }));
  }
  return attachedAt(place, undo.move());
}

/** A failure is told once; the copy stays as it was, and is tried again. */
function follow(copy: WatchedCopy, { log, volume }: { log: Logger; volume: string }): Disposable {
  let told: string | undefined;
  const look = () => {
    try {
      copy.refresh(LATER);
      told = undefined;
    } catch (error) {
      const reason = String(error);
      if (reason !== told) log.error("Cannot take over a change of a volume", { volume, error });
      told = reason;
    }
  };
  const timer = setInterval(look, EVERY_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
