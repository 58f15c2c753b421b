/** A directory of the guest, shared by the containers of a pod. @module */
import { isErrno } from "../../linux/errno.ts";
import { type Fd, pathOf } from "../../linux/fd.ts";
import { makeGuarded, openGuarded, splitLast } from "../../linux/guarded_path.ts";
import { removeTree } from "../../linux/remove_tree.ts";
import type { Storage } from "../../proto/agent_pb.ts";
import { STORAGE_OPTION } from "../../rpc/agent_api.ts";
import type { Places } from "./handler.ts";
import { optionValue, parseId, parseMode } from "./options.ts";

const S_ISGID = 0o2000;

/**
 * Makes the directory; it goes with its last user, unless it was there before. Of a volume's part all that is missing is
 * made alike, and what is there is the containers' and stays as it is, as the kubelet does it; it goes with the volume.
 */
export function attachLocal(storage: Storage, { place }: Places): Disposable {
  const settle = settler(storage);
  if (place.part !== undefined) {
    openPart(place, settle);
    return { [Symbol.dispose]() {} };
  }
  const { directory, isMade } = makeGuarded(place);
  using made = directory;
  settle(made);
  // What was there before belongs to somebody else, whoever asks for it: it may be the guest's own /etc.
  if (!isMade) return { [Symbol.dispose]() {} };
  const [above, name] = splitLast(place);
  return {
    [Symbol.dispose]() {
      using parent = openGuarded(above);
      removeTree(parent, name);
    },
  };
}

/** A part may be a file, if a container has made one. */
function openPart(place: Places["place"], settle: (made: Fd) => void): void {
  try {
    openGuarded(place)[Symbol.dispose]();
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
    makeGuarded(place, settle).directory[Symbol.dispose]();
  }
}

function settler({ options }: Storage): (made: Fd) => void {
  const mode = optionValue(options, STORAGE_OPTION.mode);
  const group = optionValue(options, STORAGE_OPTION.fsGroup);
  const [bits, gid] = [mode === undefined ? 0o755 : parseMode(mode), group === undefined ? undefined : parseId(group)];
  return (made) => {
    if (gid !== undefined) Deno.chownSync(pathOf(made), null, gid);
    Deno.chmodSync(pathOf(made), bits | (gid === undefined ? 0 : S_ISGID));
  };
}
