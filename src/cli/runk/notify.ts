/**
 * Hands on readiness (`sd_notify`) from a container to a waiter, usually systemd with `Type=notify`: loaded only if
 * NOTIFY_SOCKET is set. The container gets a socket of its own, and of the messages on it only `READY=` goes on, so
 * that a container cannot tell systemd anything else.
 *
 * @see https://www.freedesktop.org/software/systemd/man/sd_notify.html
 * @module
 */
import { bindDatagram, connectDatagram } from "../../linux/net/datagram.ts";
import { type Fd, pipe } from "../../linux/io/fd.ts";
import { openPidfd } from "../../linux/process/pidfd.ts";
import { readable, readNow, writable } from "../../linux/io/poll.ts";
import { sendFds } from "../../linux/net/socket.ts";
import type { Spec } from "../../oci/spec/spec.ts";

const INSIDE = "/run/notify";
const SOCKET = "notify.sock";

/** As long as runc waits for systemd to have taken a message in. */
const BARRIER_MS = 30_000;

/** Messages in a row: more than a kernel keeps in a socket (10 to 512), so that who sends on keeps us from nothing else. */
const LONGEST_STREAK = 512;

function directoryOf(stateDirectory: string): string {
  return `${stateDirectory}/notify`;
}

/** Lets the container's program see the socket that {@linkcode Readiness.listen} will bind. */
export function addNotifySocket(spec: Spec, stateDirectory: string): void {
  const directory = directoryOf(stateDirectory);
  Deno.mkdirSync(directory, { mode: 0o755 });
  Deno.chmodSync(directory, 0o755); // whatever the umask: the container's user must get in
  const options = ["bind", "nosuid", "noexec", "nodev", "ro"];
  spec.mounts = [...spec.mounts ?? [], { destination: INSIDE, source: directory, options }];
  if (spec.process) spec.process.env = [...spec.process.env ?? [], `NOTIFY_SOCKET=${INSIDE}/${SOCKET}`];
}

/** The way of a container's readiness to a listener on the host. */
export class Readiness implements Disposable {
  readonly #socket: Fd;
  readonly #target: string;

  /** Use {@linkcode Readiness.listen}. */
  constructor(socket: Fd, target: string) {
    this.#socket = socket;
    this.#target = target;
  }

  /**
   * Binds the container's socket.
   *
   * @param target The path in NOTIFY_SOCKET.
   * @throws {ErrnoError} ENOENT: the container was created without a NOTIFY_SOCKET.
   */
  static listen(stateDirectory: string, target: string): Readiness {
    const path = `${directoryOf(stateDirectory)}/${SOCKET}`;
    using undo = new DisposableStack();
    const socket = undo.use(bindDatagram(path));
    Deno.chmodSync(path, 0o777);
    undo.move();
    return new Readiness(socket, target);
  }

  /**
   * Waits until the container says that it is ready, or has ended, and passes that on with the pid to look after.
   *
   * @param pid Of the container's first process.
   * @param mainPid Of the process that systemd takes for the service from then on.
   */
  async pass({ pid, mainPid, signal }: { pid: number; mainPid: number; signal?: AbortSignal }): Promise<void> {
    using target = connectDatagram(this.#target);
    const message = await this.#ready(pid, signal);
    if (message === undefined) return;
    await send(target, `${message}\n`);
    await send(target, `MAINPID=${mainPid}\n`);
    await barrier(target);
  }

  /** @returns The line, or undefined if the container has ended without one. */
  async #ready(pid: number, signal?: AbortSignal): Promise<string | undefined> {
    using pidfd = openPidfd(pid);
    const buffer = new Uint8Array(4096);
    for (;;) {
      const ended = await firstReadable({ pidfd, socket: this.#socket }, signal);
      for (let left = LONGEST_STREAK; left > 0; left--) {
        const length = readNow(this.#socket, buffer);
        if (length === undefined) break;
        const lines = new TextDecoder().decode(buffer.subarray(0, length)).split("\n");
        const line = lines.find((text) => text.startsWith("READY="));
        if (line !== undefined) return line;
      }
      if (ended) return undefined;
    }
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }
}

/** @returns Whether the process has ended. */
async function firstReadable({ pidfd, socket }: { pidfd: Fd; socket: Fd }, signal?: AbortSignal): Promise<boolean> {
  const over = new AbortController();
  const options = { signal: signal ? AbortSignal.any([over.signal, signal]) : over.signal };
  const waits = [readable(pidfd, options).then(() => true), readable(socket, options).then(() => false)];
  try {
    return await Promise.race(waits);
  } finally {
    over.abort();
    await Promise.allSettled(waits);
  }
}

async function send(target: Fd, text: string): Promise<void> {
  await writable(target);
  target.write(new TextEncoder().encode(text));
}

/** The receiver closes the pipe once it has taken in all before; one that does not know this never does. */
async function barrier(target: Fd): Promise<void> {
  const { read, write } = pipe();
  using _ = read;
  {
    using sent = write;
    sendFds(target, new TextEncoder().encode("BARRIER=1"), [sent]);
  }
  const signal = AbortSignal.timeout(BARRIER_MS);
  await readable(read, { signal }).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}
