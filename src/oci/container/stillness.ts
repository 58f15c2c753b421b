/** Looks at a cgroup in which nobody runs: one that forks and ends, again and again, is seen by no other look. @module */
import { isErrno } from "../../linux/ffi/errno.ts";
import { Fd, O_DIRECTORY, O_RDONLY } from "../../linux/io/fd.ts";
import { tryLock } from "../../linux/io/flock.ts";
import type { Cgroup } from "../cgroup/cgroup.ts";
import { reaches } from "../cgroup/wait.ts";
import type { ContainerParts, Home } from "./create_options.ts";

/** Others are in the group, who are kept from running meanwhile. */
const FREEZE_TIMEOUT_MS = 1_000;
/** Longer than another command of ours takes, unless somebody does not end. */
const LOCK_TIMEOUT_MS = 3_000;
/** Longer than a look of a command with another home. */
const LOOK_MS = 50;

type Where = Pick<ContainerParts, "cgroup" | "home">;

/** A group that is frozen for moments. Was it frozen before, it is so after; one command of a home at a time does this. */
export class Stillness implements AsyncDisposable {
  readonly #cgroup: Cgroup;
  /** Undefined if the group cannot be frozen, or not by us. */
  readonly #lock: Disposable | undefined;
  readonly #wasFrozen: boolean;

  /** Use {@linkcode Stillness.of}. */
  constructor({ cgroup }: Where, { lock, wasFrozen }: { lock: Disposable | undefined; wasFrozen: boolean }) {
    this.#cgroup = cgroup;
    this.#lock = lock;
    this.#wasFrozen = wasFrozen;
  }

  static async of(where: Where): Promise<Stillness> {
    const { cgroup, home } = where;
    const hasFreezer = cgroup.version === 2 || cgroup.paths["freezer"] !== undefined;
    // We would stand still with the others, for ever.
    const mayFreeze = hasFreezer && !cgroup.members().includes(Deno.pid);
    using undo = new DisposableStack();
    const lock = undo.use(mayFreeze ? await lockFreezing(home) : undefined);
    const wasFrozen = lock !== undefined && cgroup.isFrozen() &&
      !await reaches(() => !cgroup.isFrozen(), { timeoutMs: LOOK_MS });
    undo.move();
    return new Stillness(where, { lock, wasFrozen });
  }

  /** Does something while no member runs. @returns Whether that was so: if it cannot be had, members run meanwhile. */
  async during(work: () => void): Promise<boolean> {
    const isStill = this.#lock !== undefined && (this.#cgroup.isFrozen() || await this.#freeze());
    try {
      work();
      return isStill && this.#cgroup.isFrozen();
    } finally {
      if (isStill && !this.#wasFrozen) await this.#thaw();
    }
  }

  async #freeze(): Promise<boolean> {
    try {
      await this.#cgroup.freeze({ timeoutMs: FREEZE_TIMEOUT_MS });
      return true;
    } catch {
      return false; // somebody hangs in the kernel; it has thawed the others
    }
  }

  async #thaw(): Promise<void> {
    try {
      await this.#cgroup.thaw();
    } catch (error) {
      if (this.#cgroup.exists()) throw error;
    }
  }

  /** Freezes it again if it had to be thawed: on v1, a process that was killed dies only then. */
  async [Symbol.asyncDispose](): Promise<void> {
    using _lock = this.#lock;
    const isThawed = this.#wasFrozen && this.#cgroup.exists() && !this.#cgroup.isFrozen();
    if (isThawed && this.#cgroup.members().length > 0) await this.#freeze();
  }
}

/** Whether a group is frozen for longer than another command of ours looks at it. */
export function isFrozenForLong({ cgroup, home }: Where): boolean {
  if (!cgroup.isFrozen()) return false;
  using fd = openHome(home);
  return fd === undefined || tryLock(fd, { shared: true }) && cgroup.isFrozen();
}

/** Waits for the end of such a look. @returns Whether the group is frozen all the same. */
export async function staysFrozen(where: Where): Promise<boolean> {
  const isSettled = () => !where.cgroup.isFrozen() || isFrozenForLong(where);
  await reaches(isSettled, { timeoutMs: LOCK_TIMEOUT_MS });
  return where.cgroup.isFrozen();
}

/**
 * Keeps other commands of ours from freezing and thawing. By the home, which no container can lock as it could its group.
 *
 * @returns Undefined if that cannot be had.
 */
export async function lockFreezing(home: Home): Promise<Disposable | undefined> {
  using undo = new DisposableStack();
  const fd = undo.use(openHome(home));
  if (fd === undefined || !await reaches(() => tryLock(fd), { timeoutMs: LOCK_TIMEOUT_MS })) return undefined;
  undo.move();
  return fd;
}

function openHome({ stateRoot }: Home): Fd | undefined {
  try {
    return Fd.open(stateRoot, O_RDONLY | O_DIRECTORY);
  } catch (error) {
    if (isErrno(error, "ENOENT", "EACCES")) return undefined;
    throw error;
  }
}
