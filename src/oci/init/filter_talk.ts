/**
 * Requests of a process to its parent on account of its filter of system calls: to pass the listener of a filter that
 * notifies to its agent, and to suspend a filter that forbids the steps that are left.
 *
 * Without no_new_privs a filter takes CAP_SYS_ADMIN to load. A process that may trace in a pid namespace must not find
 * one that has it there, so a process outside loads the filter and forks the one that appears inside, which inherits
 * the filter. The calls after that, down to the terminal, must be allowed by the filter, or the filter is suspended for
 * them: agents are asked about none of them.
 *
 * @module
 */
import { KataError } from "../../base/error.ts";
import { type ErrnoError, isErrno } from "../../linux/ffi/errno.ts";
import { type Fd, pathOf } from "../../linux/io/fd.ts";
import { takeDescriptor } from "../../linux/process/pidfd.ts";
import type { SuspendedFilter } from "../../linux/security/suspended_filter.ts";
import type { Channel, Message } from "./channel.ts";
import { ociState, type Status, type StoredState } from "../container/state.ts";

/** The process that asks: its pid, and a descriptor of it. */
export interface Asking {
  pid: number;
  pidfd: Fd;
}

/** Disposing it ends the suspension and lets go of a listener that nobody was given. */
export class FilterTalk implements AsyncDisposable {
  readonly #channel: Channel;
  readonly #container: { stored: StoredState; status: Status };
  #suspended: SuspendedFilter | undefined;
  #held: Fd | undefined;

  constructor(channel: Channel, container: { stored: StoredState; status: Status }) {
    this.#channel = channel;
    this.#container = container;
  }

  /** Does what a message asks for, if it is about the filter. */
  async answer(message: Message, { pid, pidfd }: Asking): Promise<void> {
    if (message === "suspend") {
      const { SuspendedFilter } = await import("../../linux/security/suspended_filter.ts");
      this.#suspended = await SuspendedFilter.of(pid, {
        calls: this.#channel.suspendedCalls,
        explain: explainSuspension,
        explainOther: explainOtherCall,
      });
    }
    if (message === "heldListener") this.#held = takeListener(pidfd, this.#channel.receiveNumber());
    if (message === "listener") {
      using listener = takeListener(pidfd, this.#channel.receiveNumber());
      await this.#handOver(listener, pid);
    }
  }

  /** Ends the suspension once the stage-2 child has appeared in the container, before the process itself is reaped. */
  async resume(): Promise<void> {
    await this.#suspended?.end();
    this.#suspended = undefined;
  }

  /** Hands over the listener that was held back, if there is one. @param pid The process that the filter holds for. */
  async handOverHeld(pid: number): Promise<void> {
    using listener = this.#held;
    this.#held = undefined;
    if (listener !== undefined) await this.#handOver(listener, pid);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#held?.[Symbol.dispose]();
    await this.#suspended?.[Symbol.asyncDispose]();
  }

  async #handOver(listener: Fd, pid: number): Promise<void> {
    const { sendListener } = await import("../security/seccomp_listener.ts");
    const { stored, status } = this.#container;
    const { listenerPath = "", listenerMetadata } = stored.spec.linux?.seccomp ?? {};
    sendListener(listener, { path: listenerPath, metadata: listenerMetadata, pid, state: ociState(stored, status) });
  }
}

/**
 * Takes what the process offers: whoever may trace it can say another number, or put something else in its place.
 *
 * @throws {KataError} PERMISSION_DENIED: it is no listener, or we may trace nobody.
 */
function takeListener(pidfd: Fd, number: number): Fd {
  using undo = new DisposableStack();
  const taken = undo.use(takeFrom(pidfd, number));
  const what = Deno.readLinkSync(pathOf(taken));
  if (what !== "anon_inode:seccomp notify") {
    throw new KataError(
      "PERMISSION_DENIED",
      `Cannot hand over a filter's listener: it was tampered with, and is ${what}`,
    );
  }
  undo.move();
  return taken;
}

/** Not handed over by the process, as its filter holds already and may not allow it. */
function takeFrom(pidfd: Fd, number: number): Fd {
  try {
    return takeDescriptor(pidfd, number);
  } catch (cause) {
    if (!isErrno(cause, "EPERM")) throw cause;
    const why = "taking it from the process needs CAP_SYS_PTRACE, which the caller has not";
    throw new KataError("PERMISSION_DENIED", `Cannot hand over the listener of a seccomp filter: ${why}`, { cause });
  }
}

function explainOtherCall(): Error {
  return new KataError("PERMISSION_DENIED", "Cannot start a process: it was tampered with before its filter held");
}

function explainSuspension(cause: ErrnoError): Error {
  const why =
    "it does not allow what a process needs to appear among others (capset, prctl, close, clone, exit_group, " +
    "setsid, write, read), and cannot be suspended meanwhile";
  return new KataError(
    "FAILED_PRECONDITION",
    `Cannot load the seccomp filter: ${why}; noNewPrivileges needs none of it`,
    {
      cause,
    },
  );
}
