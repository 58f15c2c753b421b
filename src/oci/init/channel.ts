/**
 * Messages between a child and its parent before the child becomes the container's program.
 *
 * ```text
 * parent                                child
 *   |  clone3 ------------------------->  |  namespaces
 *   |  plans the mounts, meanwhile        |
 *   |  <------------- "scope"             |  only if systemd is to make the cgroup, around it
 *   |  asks systemd                       |
 *   |  release ------------------------>  |
 *   |  <------------- "stage2"            |  only of a child that has made a pid namespace: its first process goes on;
 *   |                                     |  or later, of one that appears in a pid namespace in which others live
 *   |  takes that for the child           |
 *   |  release ------------------------>  |
 *   |  <------------- "maps"              |  in a new user namespace, without ids
 *   |  writes uid_map, gid_map            |
 *   |  release ------------------------>  |  root of the namespace
 *   |  <------------- "clocks"            |  in a new time namespace and another user namespace than ours
 *   |  writes timens_offsets              |
 *   |  release ------------------------>  |
 *   |  by a pipe of its own: the plan -->  |  mounts
 *   |  <------------- "copyUp"            |  for each tmpfs that starts as a copy
 *   |                                     |  (and has handed over its directories)
 *   |  copies                             |
 *   |  release ------------------------>  |  more mounts
 *   |  <------------- "hooks"             |  only if there are hooks to run
 *   |  limits, hooks                      |
 *   |  release ------------------------>  |  masks, pivot_root, ids, filter
 *   |  <------------- "suspend"           |  if its filter does not allow what is left to do: see `filter_talk.ts`
 *   |  suspends it until next "stage2"    |
 *   |  release ------------------------>  |
 *   |  <------------- "listener"          |  of a filter with notifications, of a process that joins too
 *   |  hands it to its agent              |  (the message ends with its number)
 *   |  release ------------------------>  |
 *   |  <------------- "heldListener"      |  the same, but the agent gets it after the next "stage2"
 *   |  <------------- "created"           |  waits for a byte on exec.fifo
 * ```
 *
 * The end of the pipe instead of a message means that a step failed, or that the child was killed.
 *
 * @module
 */
import { KataError } from "../../base/error.ts";
import { type Fd, type Pipe, pipe } from "../../linux/io/fd.ts";
import { isErrno } from "../../linux/ffi/errno.ts";
import { LITTLE_ENDIAN } from "../../linux/ffi/libc.ts";
import { receiveFds, socketPair } from "../../linux/net/socket.ts";
import type { Slot } from "../../linux/child_program/call.ts";
import { awaitByte, report } from "../../linux/child_program/calls.ts";
import type { SyscallProgram } from "../../linux/child_program/program.ts";
import { type Await, waitFor } from "./held.ts";
import type { ToldCall } from "../../linux/security/suspended_filter.ts";

const NUMBER_BYTES = 8;

/** Each is one byte on the pipe. */
export const MESSAGES = {
  scope: "s",
  stage2: "i",
  maps: "m",
  clocks: "t",
  copyUp: "u",
  hooks: "h",
  suspend: "f",
  listener: "l",
  heldListener: "k",
  created: "c",
} as const;

export type Message = keyof typeof MESSAGES;

/**
 * Both ends of it. A process of the container that may trace can write in the place of one that it sees, which has said
 * by then what gives it the help of a parent with rights: so a message is taken only if the child's steps say it next.
 */
export class Channel implements Disposable {
  /** Calls that the child makes after "suspend", in the sight of others, until it waits once more. */
  suspendedCalls: readonly ToldCall[] = [];
  /** Messages of the steps written down so far that were not received yet, in order. */
  readonly #planned: Message[] = [];
  readonly #toParent: Pipe = pipe();
  readonly #toChild: Pipe = pipe();
  /** Ours, and the child's, over which it hands descriptors over. */
  readonly #sockets: [Fd, Fd] | undefined;
  readonly #childSocket: number | undefined;
  /** Our numbers of the child's ends, which it keeps when we have closed ours. */
  readonly #childNumbers = { write: this.#toParent.write.number, read: this.#toChild.read.number };

  /** @param options `handsOver`: whether the child may have descriptors to hand over. */
  constructor({ handsOver = false }: { handsOver?: boolean } = {}) {
    // The parent never blocks on this pipe, whatever a child writes that a process of the container has taken over.
    this.#toParent.read.setNonblocking();
    this.#sockets = handsOver ? socketPair() : undefined;
    this.#sockets?.[0].setNonblocking();
    this.#childSocket = this.#sockets?.[1].number;
  }

  /** Numbers of all descriptors by which the child talks to its parent. */
  get childNumbers(): number[] {
    return Object.values(this.#childNumbers);
  }

  /** Number of the descriptor to which the child writes its messages. */
  get reportNumber(): number {
    return this.#childNumbers.write;
  }

  /** Descriptors that the child needs. */
  get childFds(): Fd[] {
    return [this.#toParent.write, this.#toChild.read, ...this.#sockets?.slice(1) ?? []];
  }

  /** Whether the child has anything left to say. */
  get isOver(): boolean {
    return this.#planned.length === 0;
  }

  /** In the child: says something. */
  addReport(steps: SyscallProgram, message: Message): void {
    this.#planned.push(message);
    report(steps, this.#childNumbers.write, { message: MESSAGES[message], label: `report ${message}` });
  }

  /** In the child: says something and waits for the parent's {@linkcode release}. */
  addStop(steps: SyscallProgram, message: Message): void {
    this.addReport(steps, message);
    awaitByte(steps, this.#childNumbers.read, { label: `wait after ${message}` });
  }

  /**
   * In the child: says that there is a descriptor of its own to be taken, by its number, and waits until it was. For one
   * that its filter may not allow to hand over.
   *
   * @returns Where the child puts that number before.
   */
  offerDescriptor(steps: SyscallProgram, message: Message): { number: Slot; addStop: () => void } {
    const size = 1 + NUMBER_BYTES;
    const piece = steps.allocate(size);
    piece.view.setUint8(0, MESSAGES[message].charCodeAt(0));
    const addStop = () => {
      this.#planned.push(message);
      steps.call("write", [this.#childNumbers.write, piece.address, size], { label: `report ${message}` });
      awaitByte(steps, this.#childNumbers.read, { label: `wait after ${message}` });
    };
    return { number: steps.slot({ piece, offset: 1 }), addStop };
  }

  /** Number of the socket over which the child hands descriptors over, before the message that tells of them. */
  get handover(): number {
    return this.#childSocket!;
  }

  /** In the parent: the next descriptor that the child has handed over. @returns Undefined if none waits. */
  takeHandedOver(): Fd | undefined {
    try {
      return this.#sockets && receiveFds(this.#sockets[0], new Uint8Array(1)).fds[0];
    } catch (error) {
      if (isErrno(error, "EAGAIN")) return undefined;
      throw error;
    }
  }

  /** In the parent: the number that follows such a message. */
  receiveNumber(): number {
    const bytes = new Uint8Array(NUMBER_BYTES);
    if (this.#toParent.read.read(bytes) !== NUMBER_BYTES) throw new Error("Cannot understand a child: a number is cut");
    return Number(new DataView(bytes.buffer).getBigInt64(0, LITTLE_ENDIAN));
  }

  /** In the parent: closes the child's ends, once the child has them. */
  started(): void {
    this.#toParent.write[Symbol.dispose]();
    this.#toChild.read[Symbol.dispose]();
    this.#sockets?.[1][Symbol.dispose]();
  }

  /**
   * In the parent: what the child says next; undefined if it ended instead.
   *
   * @throws {KataError} PERMISSION_DENIED: somebody else says it. And what `wait` throws.
   */
  async receive(wait: Await = waitFor): Promise<Message | undefined> {
    await wait(this.#toParent.read, `say "${this.#planned[0]}"`);
    const byte = new Uint8Array(1);
    if (this.#toParent.read.read(byte) === 0) return undefined;
    const planned = this.#planned.shift();
    const letter = String.fromCharCode(byte[0]!);
    if (planned !== undefined && MESSAGES[planned] === letter) return planned;
    const said = (Object.keys(MESSAGES) as Message[]).find((message) => MESSAGES[message] === letter);
    const what = said === undefined ? "what no process says" : `"${said}"`;
    throw new KataError("PERMISSION_DENIED", `Cannot start a process: it was tampered with, and says ${what}`);
  }

  /** In the parent: lets the child go on. */
  release(): void {
    this.#toChild.write.write(new Uint8Array(1));
  }

  [Symbol.dispose](): void {
    this.#toParent[Symbol.dispose]();
    this.#toChild[Symbol.dispose]();
    this.#sockets?.forEach((one) => one[Symbol.dispose]());
  }
}
