/**
 * The states of a container, and what its directory keeps between two calls of a runtime.
 *
 * @see https://github.com/opencontainers/runtime-spec/blob/v1.2.0/runtime.md#state
 * @module
 */
import { systemClock } from "../../base/clock.ts";
import { KataError } from "../../base/error.ts";
import { exists, removeIfThere } from "../../base/files.ts";
import { isErrno } from "../../linux/ffi/errno.ts";
import { fileIdentity } from "../../linux/fs/identity.ts";
import { Fd, O_DIRECTORY, O_NOFOLLOW, O_PATH, O_RDONLY, pathOf } from "../../linux/io/fd.ts";
import { tryLock } from "../../linux/io/flock.ts";
import { isAlive, readProcessStat } from "../../linux/process/process.ts";
import { formatSpec, OCI_VERSION, parseJson, type Spec } from "../spec/spec.ts";
import { checkShape, type Shape } from "../spec/shape.ts";
import type { Scope } from "../cgroup/systemd/scope.ts";

export type Status = "creating" | "created" | "running" | "paused" | "stopped";

/** States in which each operation is allowed; in all others it is refused. */
const ALLOWED = {
  start: ["created"],
  exec: ["created", "running"],
  kill: ["creating", "created", "running", "paused"],
  pause: ["created", "running"],
  resume: ["paused"],
  delete: ["stopped", "creating", "created"],
  update: ["created", "running", "paused"],
} as const satisfies Record<string, readonly Status[]>;

export type Operation = keyof typeof ALLOWED;

/** @throws {KataError} FAILED_PRECONDITION: the state does not allow this. */
export function checkAllowed(operation: Operation, { id, status }: { id: string; status: Status }): void {
  if ((ALLOWED[operation] as readonly Status[]).includes(status)) return;
  // containerd looks for these very words.
  const why = operation === "kill" && status === "stopped" ? "container not running" : `it is ${status}`;
  throw new KataError("FAILED_PRECONDITION", `Cannot ${operation} container "${id}": ${why}`);
}

/** State of a container by the OCI specification: printed by `state`, and given to hooks on their standard input. */
export interface OciState {
  ociVersion: string;
  id: string;
  status: Status;
  /** 0 when stopped. */
  pid: number;
  bundle: string;
  annotations?: Record<string, string>;
}

/** The state as the specification words it. */
export function ociState({ id, bundle, pid, spec }: StoredState, status: Status): OciState {
  const { annotations } = spec;
  const common = {
    ociVersion: spec.ociVersion || OCI_VERSION,
    id,
    status,
    pid: status === "stopped" ? 0 : pid,
    bundle,
  };
  return annotations === undefined ? common : { ...common, annotations };
}

/** The file `state.json`. */
export interface StoredState {
  id: string;
  /** 0 while there is no process yet. */
  pid: number;
  /** Ticks since boot, from /proc/PID/stat: tells the process from another one that got its number later. */
  startTime: bigint | number;
  bundle: string;
  /** Absolute. */
  rootfs: string;
  /** ISO 8601, UTC. */
  created: string;
  /** Below the root of each hierarchy; empty if the container has no cgroup, as its creator may not make one. */
  cgroupPath: string;
  /** Hierarchies in which that group is neither its own nor another container's of this home; none unless it says so. */
  foreignCgroups?: string[];
  /** Name of its mount namespace, if that tells its processes from others in the same group: `mnt:[4026531841]`. */
  mountNamespace?: string;
  /** Number of it that the kernel gives but once, unlike the one in its name; none before Linux 6.11. */
  mountNamespaceId?: string;
  /** In a mount namespace of others: numbers of the mounts that stood on `rootfs` before. */
  mountsBefore?: number[];
  /** The unit of systemd that manages its cgroup, if one does. */
  scope?: Scope;
  noNewKeyring: boolean;
  spec: Spec;
}

/** Of the specification only that it is one: it was checked when it was stored, and each command would check it again. */
const STATE_SHAPE = {
  id: "text",
  pid: "small",
  startTime: "count",
  bundle: "text",
  rootfs: "text",
  created: "text",
  cgroupPath: "text",
  noNewKeyring: "flag",
  spec: {},
} as const satisfies Partial<Record<keyof StoredState, Shape>>;
const SCOPE_SHAPE = { required: { unit: "text", slice: "text", cgroupPath: "text", ofUser: "flag" } } as const;

const OPTIONAL_SHAPE = {
  scope: SCOPE_SHAPE,
  foreignCgroups: ["text"],
  mountsBefore: ["small"],
  mountNamespace: "text",
  mountNamespaceId: "text",
} as const;

/** Checks a state file: another program or a broken file system may have written it. @throws {TypeError} The fault. */
function checkState(value: unknown): StoredState {
  checkShape(value, { required: STATE_SHAPE, optional: OPTIONAL_SHAPE });
  const missing = Object.keys(STATE_SHAPE).find((key) => Reflect.get(value as object, key) === undefined);
  if (missing !== undefined) throw new TypeError(`Cannot use the state: its ${missing} is missing`);
  return value as StoredState;
}

/** The first process if it runs still, else 0: its number may be another's by now. */
export function livePid({ pid, startTime }: StoredState): number {
  if (pid === 0) return 0;
  const stat = readProcessStat(pid);
  return isAlive(stat) && stat.startTime === BigInt(startTime) ? pid : 0;
}

const STATE_FILE = "state.json";
const EXEC_FIFO = "exec.fifo";
/** Name of the exec fifo while the container is being made. */
const EARLY_FIFO = "exec.fifo.early";
/** There as long as the container is paused by a command. */
const PAUSED = "paused";
/** Longer than any step but a hook's. */
const LOCK_TIMEOUT_MS = 10_000;
const LOCK_POLL_MS = 5;

/**
 * The directory of one container: `ROOT/ID`. From `create` or `read` on it is that container's: one that others have made
 * there since, for a new container of the same id, is none of ours.
 */
export class StateDirectory {
  readonly path: string;
  readonly #id: string;
  /** Tells it from others that were or will be at this path; undefined as long as it has not been seen. */
  #identity: string | undefined;

  constructor(root: string, id: string) {
    this.path = `${root}/${id}`;
    this.#id = id;
  }

  get execFifo(): string {
    return `${this.path}/${EXEC_FIFO}`;
  }

  get earlyFifo(): string {
    return `${this.path}/${EARLY_FIFO}`;
  }

  /** The first process waits for its start: until now the root, the mounts and the rights that it had were ours. */
  finish(): void {
    Deno.renameSync(this.earlyFifo, this.execFifo);
  }

  /** How far the container has come, if it lives. */
  stage(): "creating" | "created" | "running" {
    if (isFifo(this.earlyFifo)) return "creating";
    return isFifo(this.execFifo) ? "created" : "running";
  }

  /** @throws {KataError} ALREADY_EXISTS: the id is taken. */
  create(): void {
    Deno.mkdirSync(this.path.slice(0, this.path.lastIndexOf("/")), { recursive: true, mode: 0o700 });
    try {
      Deno.mkdirSync(this.path, { mode: 0o700 });
    } catch (cause) {
      if (!isErrno(cause, "EEXIST")) throw new Error(`Cannot make state directory "${this.path}"`, { cause });
      throw new KataError("ALREADY_EXISTS", `Cannot create container "${this.#id}": container with id exists`);
    }
    this.#identity = identityOf(this.path);
  }

  exists(): boolean {
    return identityOf(this.path) !== undefined && !this.isReplaced();
  }

  /** Whether the container was deleted, and another one of its id has been made. */
  isReplaced(): boolean {
    const now = this.#identity === undefined ? undefined : identityOf(this.path);
    return now !== undefined && now !== this.#identity;
  }

  /**
   * Keeps other commands from changing the container at the same time. The kernel lets go of the lock when we end, however
   * that happens.
   *
   * @throws {KataError} NOT_FOUND: there is no such container, or no more. UNAVAILABLE: another command is still at it.
   */
  async lock(): Promise<Disposable> {
    for (const end = performance.now() + LOCK_TIMEOUT_MS; performance.now() < end;) {
      const locked = this.tryLock();
      if (locked !== undefined) return locked;
      await systemClock.sleep(LOCK_POLL_MS);
    }
    throw new KataError("UNAVAILABLE", `Cannot lock container "${this.#id}": another command is working on it`);
  }

  /** As {@linkcode lock}, at once. @returns Undefined if another command has the lock. */
  tryLock(): Disposable | undefined {
    try {
      using undo = new DisposableStack();
      const fd = undo.use(Fd.open(this.path, O_RDONLY | O_DIRECTORY));
      // The last holder of the lock may have deleted the directory, and another process may have made it anew.
      if (!tryLock(fd) || fileIdentity(fd) !== fileIdentity(this.path)) return undefined;
      if (this.isReplaced()) throw this.#notFound();
      undo.move();
      return fd;
    } catch (error) {
      throw isErrno(error, "ENOENT", "ENOTDIR") ? this.#notFound() : error;
    }
  }

  #notFound(): KataError {
    return new KataError("NOT_FOUND", `Cannot find container "${this.#id}": container does not exist`);
  }

  /** @throws {KataError} NOT_FOUND: there is no such container, or it has never become one. */
  read(): StoredState {
    this.#identity ??= identityOf(this.path);
    try {
      return checkState(parseJson(Deno.readTextFileSync(`${this.path}/${STATE_FILE}`)));
    } catch (cause) {
      if (!isErrno(cause, "ENOENT", "ENOTDIR")) throw new Error(`Cannot read state of "${this.#id}"`, { cause });
      throw this.#notFound();
    }
  }

  /** Whether there is a state to read. */
  isWritten(): boolean {
    return [...Deno.readDirSync(this.path)].some(({ name }) => name === STATE_FILE);
  }

  /** Whole or not at all: a reader never sees half a file. */
  write(state: StoredState): void {
    const temporary = `${this.path}/.${STATE_FILE}.${Deno.pid}`;
    Deno.writeTextFileSync(temporary, formatSpec(state), { mode: 0o600 });
    Deno.renameSync(temporary, `${this.path}/${STATE_FILE}`);
  }

  /** Notes that a command of ours has paused it, and not the container itself, which may be able to freeze its group. */
  markPaused(): void {
    Deno.writeTextFileSync(`${this.path}/${PAUSED}`, "");
  }

  unmarkPaused(): void {
    removeIfThere(`${this.path}/${PAUSED}`);
  }

  isMarkedPaused(): boolean {
    return exists(`${this.path}/${PAUSED}`);
  }

  removeExecFifo(): void {
    removeIfThere(this.execFifo);
  }

  remove(): void {
    if (!this.isReplaced()) removeIfThere(this.path, { recursive: true });
  }
}

/** Of a directory; undefined if there is none. File systems give numbers a second time, hence its birth. */
function identityOf(path: string): string | undefined {
  try {
    using directory = Fd.open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW);
    return `${fileIdentity(directory)}:${Deno.statSync(pathOf(directory)).birthtime?.getTime()}`;
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
}

function isFifo(path: string): boolean {
  try {
    return Deno.lstatSync(path).isFifo === true;
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return false;
    throw error;
  }
}
