/** Marks that tell a container's processes from others in the same cgroup. @module */
import { isErrno } from "../../linux/ffi/errno.ts";
import { Fd, O_RDONLY, pathOf } from "../../linux/io/fd.ts";
import { Kin, mountNamespaceId, namespaceOf } from "../../linux/process/kin.ts";
import type { Spec } from "../spec/spec.ts";
import { ownsMounts } from "./shared_mounts.ts";
import { livePid, type StoredState } from "./state.ts";

/** Without a pid namespace of its own, the kernel leaves the children of a killed first process alone (B7). */
export function hasPidNamespace({ linux }: Spec): boolean {
  return (linux?.namespaces ?? []).some(({ type, path }) => type === "pid" && !path);
}

/**
 * Mount namespace by which processes are known whose parents have ended.
 *
 * @param pid The first process. @returns Undefined for a container whose pid namespace tells, or that has none of its own.
 */
export function tellingNamespace(
  pid: number,
  spec: Spec,
): Pick<StoredState, "mountNamespace" | "mountNamespaceId"> | undefined {
  if (hasPidNamespace(spec) || !ownsMounts(spec)) return undefined;
  const [name, id] = [namespaceOf(pid, "mnt"), mountNamespaceId(pid)];
  return { ...(name !== undefined && { mountNamespace: name }), ...(id !== undefined && { mountNamespaceId: id }) };
}

/**
 * Marks of one container. The kernel gives the number in a namespace's name to the next one as soon as it is free: it
 * counts only while we hold the namespace, which takes a first process that lives. Whoever is in doubt is somebody else.
 */
export class Marks implements Disposable {
  readonly #held = new DisposableStack();
  readonly #stored: StoredState;
  readonly #pids: string | undefined;
  readonly #mounts: string | undefined;

  constructor(stored: StoredState) {
    this.#stored = stored;
    const { mountNamespace, mountNamespaceId, spec } = stored;
    if (hasPidNamespace(spec)) this.#pids = this.#hold("pid");
    else if (mountNamespace !== undefined && mountNamespaceId === undefined) {
      const name = this.#hold("mnt");
      // The first process may have gone to another one.
      if (name === mountNamespace) this.#mounts = name;
    }
  }

  /** @returns Name of a namespace of the first process, which is held from now on; undefined if that has ended. */
  #hold(kind: "pid" | "mnt"): string | undefined {
    const init = livePid(this.#stored);
    if (init === 0) return undefined;
    try {
      const fd = this.#held.use(Fd.open(`/proc/${init}/ns/${kind}`, O_RDONLY));
      return livePid(this.#stored) === init ? Deno.readLinkSync(pathOf(fd)) : undefined;
    } catch (error) {
      if (isErrno(error, "ENOENT", "ESRCH", "EACCES", "EPERM")) return undefined;
      throw error;
    }
  }

  /**
   * @returns Whether a member of the group is the container's: one that descends from its first process, or is in its pid
   *   namespace, or in its mount namespace, in which those stay whose parents have ended. To be asked for a moment only.
   */
  look(): (pid: number) => boolean {
    const init = livePid(this.#stored);
    const kin = new Kin((pid) => pid === init || this.#isMarked(pid));
    return (pid) => kin.has(pid);
  }

  #isMarked(pid: number): boolean {
    const { mountNamespaceId: id } = this.#stored;
    if (id !== undefined) return mountNamespaceId(pid) === id;
    return this.#pids !== undefined && namespaceOf(pid, "pid") === this.#pids ||
      this.#mounts !== undefined && namespaceOf(pid, "mnt") === this.#mounts;
  }

  /** Whether a process that is not known as the container's may be it all the same. */
  isDoubtful(pid: number): boolean {
    const { mountNamespace, mountNamespaceId } = this.#stored;
    return mountNamespaceId === undefined && mountNamespace !== undefined && namespaceOf(pid, "mnt") === mountNamespace;
  }

  [Symbol.dispose](): void {
    this.#held.dispose();
  }
}
