/**
 * Terminals and signals between the caller and a process in the foreground.
 *
 * @module
 */
import { exitCode } from "../../linux/process/wait.ts";
import { isErrno } from "../../linux/ffi/errno.ts";
import { Fd } from "../../linux/io/fd.ts";
import { leaveInlinePolling, readable, readNow, readSome, writeAll } from "../../linux/io/poll.ts";
import { connectUnix, sendFds } from "../../linux/net/socket.ts";
import { CaughtSignals } from "../../linux/process/caught_signals.ts";
import { SIGNALS } from "../../linux/process/signal.ts";
import { isTerminal, rawMode, setWindowSize, windowSize } from "../../linux/io/tty.ts";
import type { ContainerProcess } from "../../oci/container/container.ts";

export interface ConsoleRequest {
  terminal: boolean;
  detach: boolean;
  socket: string | undefined;
}

/** @throws {Error} A terminal that nobody would hold, or a socket that nothing would be sent to. */
export function requireConsole({ terminal, detach, socket }: ConsoleRequest): void {
  if (detach && terminal && socket === undefined) {
    throw new Error("Cannot give a detached process a terminal without --console-socket");
  }
  if (socket !== undefined && !(detach && terminal)) {
    throw new Error("Cannot use --console-socket: the process is not detached, or wants no terminal");
  }
}

/** Sends the master of the terminal to the listener on the socket, and closes ours. */
export function sendConsole(path: string, console: Fd): void {
  using master = console;
  try {
    using socket = connectUnix(path);
    // runc sends the slave's name; receivers read some bytes, as a message without any is an end of file.
    sendFds(socket, new TextEncoder().encode("/dev/pts/ptmx"), [master]);
  } catch (cause) {
    throw new Error(`Cannot send the terminal to console socket "${path}"`, { cause });
  }
}

/** Sends a descriptor of the process to the listener on the socket. */
export function sendPidfd(path: string, pidfd: Fd): void {
  try {
    using socket = connectUnix(path);
    sendFds(socket, new TextEncoder().encode("pidfd"), [pidfd]);
  } catch (cause) {
    throw new Error(`Cannot send the process to pidfd socket "${path}"`, { cause });
  }
}

/**
 * Runs the process in the foreground: passes on signals and, with a terminal, input and output, until the process has
 * ended.
 *
 * @param begin Lets the process run, once all is connected.
 * @returns Its exit status as a shell counts it (B1).
 */
export async function serveForeground(process: ContainerProcess, begin?: () => Promise<void>): Promise<number> {
  // A short program has ended by now: to listen for signals that nobody is left for takes 0.5 ms.
  const isOver = begin === undefined && process.console === undefined && process.hasEnded;
  if (isOver) return exitCode(await process.wait());
  leaveInlinePolling();
  using stack = new DisposableStack();
  const ended = new AbortController();
  stack.defer(() => ended.abort());
  const relay = process.console === undefined ? undefined : relayTerminal(process.console, stack);
  const caught = stack.use(new CaughtSignals({ but: relay?.onTerminal ? JOB_CONTROL : [] }));
  void forwardSignals(caught, { process, relay, signal: ended.signal }).catch(() => {}); // ends with the process
  const shown = relay && show(relay.master, { stdout: relay.stdout, ended: ended.signal });
  await begin?.();
  const status = exitCode(await process.wait());
  ended.abort();
  await shown;
  return status;
}

/** Stops us if we read a terminal in the background, as its shell expects it. */
const JOB_CONTROL = [SIGNALS.SIGTTIN, SIGNALS.SIGTTOU];

interface Forwarding {
  process: ContainerProcess;
  relay: Relay | undefined;
  signal: AbortSignal;
}

/** Every signal that can be caught means something to a program; SIGWINCH is the terminal's. */
async function forwardSignals(caught: CaughtSignals, { process, relay, signal }: Forwarding): Promise<never> {
  for (;;) {
    const number = await caught.next({ signal });
    try {
      if (number === SIGNALS.SIGWINCH && relay?.onTerminal) relay.resize();
      else process.kill(number);
    } catch {
      // One that cannot be passed on, or a terminal that hung up, keeps no later one from it.
    }
  }
}

/** Traffic between our stdio and the terminal of a process. */
interface Relay {
  master: Fd;
  stdout: Fd;
  /** Whether we have a terminal as well. */
  onTerminal: boolean;
  resize(): void;
}

function relayTerminal(master: Fd, stack: DisposableStack): Relay {
  stack.use(master);
  const stdin = new Fd(0);
  const ending = new AbortController();
  stack.defer(() => ending.abort());
  const onTerminal = isTerminal(stdin);
  const resize = () => setWindowSize(master, windowSize(stdin));
  if (onTerminal) {
    stack.use(rawMode(stdin));
    resize();
  }
  master.setNonblocking();
  void type(stdin, master, ending.signal).catch(() => {}); // ends with the terminal, whatever is typed then
  return { master, stdout: new Fd(1), onTerminal, resize };
}

/** Our stdin stays blocking, as its other users expect it: so it is read only when there is something. */
async function type(stdin: Fd, master: Fd, signal: AbortSignal): Promise<void> {
  const buffer = new Uint8Array(4096);
  for (;;) {
    await readable(stdin, { signal }).catch((error: unknown) => {
      if (!isErrno(error, "EPERM")) throw error; // a regular file, which is always ready
    });
    const length = stdin.read(buffer);
    if (length === 0) return;
    await writeAll(master, buffer.subarray(0, length), { signal });
  }
}

/**
 * Copies the terminal's output until every process has closed the terminal, or the one that we serve has `ended` and all
 * that it wrote is copied: others may keep the terminal for as long as they like.
 */
async function show(master: Fd, { stdout, ended }: { stdout: Fd; ended: AbortSignal }): Promise<void> {
  const buffer = new Uint8Array(32 * 1024);
  const write = (length: number) => stdout.writeAll(buffer.subarray(0, length));
  try {
    for (let length; (length = await readSome(master, buffer, { signal: ended })) > 0;) write(length);
  } catch (error) {
    if (error !== ended.reason) throw error;
    // The kernel brings what was written before it says that there is nothing. Those that stay may write without end.
    for (let left = MOST_LEFT; left > 0;) {
      const length = readNow(master, buffer) ?? 0;
      if (length === 0) return;
      write(length);
      left -= length;
    }
  }
}

/** More than a terminal holds. */
const MOST_LEFT = 1 << 20;
