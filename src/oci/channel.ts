/**
 * What a child and its parent tell each other before the child becomes the container's program.
 *
 * ```text
 * parent                                child
 *   |  clone3 ------------------------->  |  namespaces
 *   |  plans the mounts, meanwhile        |
 *   |  <------------- "scope"             |  only if systemd is to make the cgroup, around it
 *   |  asks systemd                       |
 *   |  release ------------------------>  |
 *   |  <------------- "heir"              |  only of a child that has made a pid namespace: its first process goes on
 *   |  takes that for the child           |
 *   |  release ------------------------>  |
 *   |  <------------- "maps"              |  in a new user namespace, without ids
 *   |  writes uid_map, gid_map            |
 *   |  release ------------------------>  |  root of the namespace
 *   |  by a pipe of its own: the plan -->  |  mounts
 *   |  <------------- "copyUp"            |  for each tmpfs that starts as a copy
 *   |  copies                             |
 *   |  release ------------------------>  |  more mounts
 *   |  <------------- "hooks"             |  only if there are hooks to run
 *   |  limits, hooks                      |
 *   |  release ------------------------>  |  masks, pivot_root, ids, filter
 *   |  <------------- "listener"          |  of a filter with notifications, of a process that joins too
 *   |  hands it to its agent              |
 *   |  release ------------------------>  |
 *   |  <------------- "created"           |  waits for a byte on exec.fifo
 * ```
 *
 * The end of the pipe instead of a message means that a step failed, or that the child was killed.
 *
 * @module
 */
import { type Fd, type Pipe, pipe } from "../linux/fd.ts";
import { readable } from "../linux/poll.ts";
import { awaitByte, report } from "../linux/steps.ts";
import type { Steps } from "./steps.ts";

/** Each is one byte on the pipe. */
const MESSAGES = {
  scope: "s",
  heir: "i",
  maps: "m",
  copyUp: "u",
  hooks: "h",
  listener: "l",
  created: "c",
  terminal: "t",
} as const;

export type Message = keyof typeof MESSAGES;

export class Channel implements Disposable {
  readonly #toParent: Pipe = pipe();
  readonly #toChild: Pipe = pipe();
  /** Our numbers of the child's ends, which it keeps when we have closed ours. */
  readonly #childNumbers = { write: this.#toParent.write.number, read: this.#toChild.read.number };

  /** Descriptors that the child needs. */
  get childFds(): Fd[] {
    return [this.#toParent.write, this.#toChild.read];
  }

  /** In the child: says something. */
  addReport(steps: Steps, message: Message): void {
    report(steps.program, this.#childNumbers.write, { message: MESSAGES[message], label: `report ${message}` });
  }

  /** In the child: says something and waits for the parent's {@linkcode release}. */
  addStop(steps: Steps, message: Message): void {
    this.addReport(steps, message);
    awaitByte(steps.program, this.#childNumbers.read, { label: `wait after ${message}` });
  }

  /** In the parent: closes the child's ends, once the child has them. */
  started(): void {
    this.#toParent.write[Symbol.dispose]();
    this.#toChild.read[Symbol.dispose]();
  }

  /** In the parent: what the child says next; undefined if it ended instead. */
  async receive(): Promise<Message | undefined> {
    await readable(this.#toParent.read);
    const byte = new Uint8Array(1);
    if (this.#toParent.read.read(byte) === 0) return undefined;
    const letter = String.fromCharCode(byte[0]!);
    return (Object.keys(MESSAGES) as Message[]).find((message) => MESSAGES[message] === letter);
  }

  /** In the parent: lets the child go on. */
  release(): void {
    this.#toChild.write.write(new Uint8Array(1));
  }

  [Symbol.dispose](): void {
    this.#toParent[Symbol.dispose]();
    this.#toChild[Symbol.dispose]();
  }
}
