/** Serves the message file in which a container says why it ended. @module */
import { isErrno } from "../../linux/ffi/errno.ts";
import { type Fd, pathOf } from "../../linux/io/fd.ts";
import { KataError } from "../../base/error.ts";
import { type GuardedPath, openGuarded } from "../../linux/fs/guarded_path.ts";
import type { GuardSource } from "../../oci/mount/plan.ts";
import type { GuestContainer } from "../container/container.ts";
import type { AgentMethods, Guest } from "../guest.ts";

/** One kind so far: the message file that Kubernetes knows. */
export function diagnosticMethods({ sandbox }: Guest): AgentMethods {
  return {
    getDiagnosticData({ logType, containerId }) {
      if (logType !== "termination_log") {
        throw new KataError("INVALID_ARGUMENT", `Cannot get diagnostic data of type "${logType}": no such type`);
      }
      return { data: terminationLog(sandbox.container(containerId), (path) => sandbox.storages.guard(path)) };
    },
  };
}

const TERMINATION_PATH = "io.kubernetes.container.terminationMessagePath";
const MAX_LOG_BYTES = 4096;

/** The container writes the file, and if that lies in a volume, others may put something else in its place. */
function terminationLog({ id, container: { spec } }: GuestContainer, guard: GuardSource): string {
  const destination = spec.annotations?.[TERMINATION_PATH];
  const source = spec.mounts?.find((mount) => mount.destination === destination)?.source;
  if (source === undefined) return "";
  using found = openIfThere(guard(source));
  if (found === undefined) return "";
  if (!Deno.statSync(pathOf(found)).isFile) {
    const what = `termination log of container "${id}"`;
    throw new KataError("FAILED_PRECONDITION", `Cannot read the ${what}: it is no regular file`);
  }
  using file = Deno.openSync(pathOf(found));
  const buffer = new Uint8Array(MAX_LOG_BYTES);
  return new TextDecoder().decode(buffer.subarray(0, file.readSync(buffer) ?? 0));
}

/** A container may have taken its file away, and a volume be gone. */
function openIfThere(path: GuardedPath): Fd | undefined {
  try {
    return openGuarded(path);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
}
