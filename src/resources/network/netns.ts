/** Finds and opens a pod's network namespace. @module */
import { quoted } from "../../base/text.ts";
import { KataError } from "../../base/error.ts";
import { Fd, O_RDONLY } from "../../linux/io/fd.ts";
import { isSameNamespace, newNetns } from "../../linux/process/namespace.ts";
import { FILE_SYSTEM_MAGIC, statfs } from "../../linux/fs/statfs.ts";
import type { Spec } from "../../oci/spec/spec.ts";

/** Engines write it where they do not know the process yet. */
const UNKNOWN = "/proc/0/ns/net";
const OURS = "/proc/thread-self/ns/net";
/** The namespace of somebody who runs in it (`docker run --net container:X`). */
const OF_PROCESS = /^\/proc\/(\d+)(?:\/task\/\d+)?\/ns\/net$/;

export interface NetnsOptions {
  /** For messages. */
  sandboxId: string;
  isPod: boolean;
  /** Makes none for a container that is alone and names none (`disable_new_netns`). */
  disableNew: boolean;
}

/**
 * Opens the namespace that the specification names, or makes one, in which hooks may then put interfaces.
 *
 * @returns undefined if there is none and none may be made.
 * @throws {KataError} INVALID_ARGUMENT for the host's network, which is also that of a specification without such a
 * namespace: no VM can be in it; and for what is no namespace. FAILED_PRECONDITION for the namespace of a process: the VM
 * would take the network away from it.
 */
export function openPodNetns(spec: Spec, { sandboxId, isPod, disableNew }: NetnsOptions): Fd | undefined {
  const namespace = spec.linux?.namespaces?.find(({ type }) => type === "network");
  const path = namespace?.path ?? "";
  if (path !== "" && path !== UNKNOWN) {
    if (isSameNamespace(path, OURS)) throw hostNetwork(sandboxId);
    // Told before it is opened: opening a fifo waits for a writer.
    if (statfs(path).magic !== FILE_SYSTEM_MAGIC.nsfs) {
      throw new KataError(
        "INVALID_ARGUMENT",
        `Cannot run sandbox ${quoted(sandboxId)} in ${quoted(path)}: it is no namespace`,
      );
    }
    const pid = OF_PROCESS.exec(path)?.[1];
    if (pid !== undefined) throw somebodysNetwork(sandboxId, { path, pid });
    return Fd.open(path, O_RDONLY);
  }
  if (namespace === undefined && (isPod || !disableNew)) throw hostNetwork(sandboxId);
  return disableNew ? undefined : newNetns();
}

function hostNetwork(sandboxId: string): KataError {
  const message = `Cannot run sandbox "${sandboxId}" in the host's network: a virtual machine has a network of its own`;
  return new KataError("INVALID_ARGUMENT", message);
}

function somebodysNetwork(sandboxId: string, { path, pid }: { path: string; pid: string }): KataError {
  const who = `process ${pid} (${
    quoted(commandOf(pid))
  }) is in this network, which would be the virtual machine's alone`;
  return new KataError("FAILED_PRECONDITION", `Cannot run sandbox ${quoted(sandboxId)} in ${quoted(path)}: ${who}`);
}

function commandOf(pid: string): string {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/comm`).trim();
  } catch {
    return "";
  }
}
