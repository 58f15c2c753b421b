/**
 * A container and all that can be done with it. The agent in the guest and `runk` on the host share this engine.
 *
 * @module
 */
import type { Logger } from "../base/log.ts";
import type { CgroupLayout } from "../linux/cgroup.ts";
import type { Fd } from "../linux/fd.ts";
import type { ExitStatus } from "../linux/spawn.ts";
import type { CgroupStats } from "./cgroup/stats.ts";
import type { Process, Resources, Spec } from "./spec.ts";
import type { OciState, Status } from "./state.ts";

/** Where containers live: values, so that tests have a place of their own. */
export interface Home {
  /** One directory per container is made in it, mode 0700. */
  stateRoot: string;
  cgroups: CgroupLayout;
  log?: Logger;
}

/**
 * What a process gets as descriptors 0 to 2: /dev/null where one is absent. The engine duplicates them; the caller
 * closes its own. With `process.terminal` they are ignored, and {@linkcode ContainerProcess.console} is set instead.
 */
export interface Stdio {
  stdin?: Fd;
  stdout?: Fd;
  stderr?: Fd;
}

export interface CreateOptions extends Home {
  id: string;
  bundle: string;
  spec: Spec;
  stdio?: Stdio;
  /** The root of the machine is an initramfs, which pivot_root(2) refuses. */
  noPivotRoot?: boolean;
  noNewKeyring?: boolean;
  /** Descriptors from 3 on that the container inherits. */
  preserveFds?: number;
}

export interface ExecOptions {
  stdio?: Stdio;
  preserveFds?: number;
  /** Exec in a paused container waits until that is resumed. It is refused without this. */
  ignorePaused?: boolean;
}

/** A process in a container that this program started. */
export interface ContainerProcess {
  readonly pid: number;
  readonly pidfd: Fd;
  /** The master of its terminal, if it has one. The caller disposes it. */
  readonly console: Fd | undefined;
  /** Resolves when the process has ended, as often as it is called. */
  wait(): Promise<ExitStatus>;
  /** Sends a signal by number; nothing happens if the process has ended. */
  kill(signal: number): void;
}

export interface KillOptions {
  /** All processes of the container (B7), not only its first one. */
  all?: boolean;
}

export interface DeleteOptions {
  /** Kill what still runs, and do not fail if there is nothing. */
  force?: boolean;
}

/**
 * One container.
 *
 * Life: {@linkcode Container.create} makes everything and parks the first process; {@linkcode Container.start} lets it
 * run; {@linkcode Container.delete} takes everything away. A failed `create` leaves nothing behind.
 */
export declare class Container {
  /** @throws {Error} Naming the step that failed; nothing is left behind. */
  static create(options: CreateOptions): Promise<Container>;
  /** Finds a container that another program created. @throws {KataError} NOT_FOUND. */
  static load(id: string, home: Home): Container;
  readonly id: string;
  readonly bundle: string;
  readonly spec: Spec;
  /** The first process; undefined if another program created the container. */
  readonly init: ContainerProcess | undefined;
  status(): Status;
  state(): OciState;
  start(): Promise<void>;
  exec(process: Process, options?: ExecOptions): Promise<ContainerProcess>;
  kill(signal: number, options?: KillOptions): Promise<void>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  update(resources: Resources): void;
  stats(): CgroupStats;
  /** Every process of the container, as this pid namespace numbers them. */
  pids(): number[];
  /** Yields each time the kernel killed a process of the container for lack of memory, until the container is gone. */
  oomEvents(options: { signal: AbortSignal }): AsyncIterable<void>;
  delete(options?: DeleteOptions): Promise<void>;
}
