/**
 * Terminals and signals between the caller and a process in the foreground.
 *
 * @module
 */
import { exitCode } from "../../linux/process/wait.ts";
import { isErrno } from "../../linux/ffi/errno.ts";
import { Fd } from "../../linux/io/fd.ts";
import { leaveInlinePolling, readable, readSome, writeAll } from "../../linux/io/poll.ts";
import { connectUnix, sendFds } from "../../linux/net/socket.ts";
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
  forwardSignals(process, stack);
  const shown = process.console === undefined ? undefined : relayTerminal(process.console, stack);
  await begin?.();
  const status = exitCode(await process.wait());
  await shown;
  return status;
}

/** Every signal that can be caught and means something to a program; SIGWINCH is the terminal's. */
const FORWARDED: readonly Deno.Signal[] = [
  "SIGHUP",
  "SIGINT",
  "SIGQUIT",
  "SIGTERM",
  "SIGUSR1",
  "SIGUSR2",
  "SIGCONT",
  "SIGTSTP",
  "SIGALRM",
];

function forwardSignals(process: ContainerProcess, stack: DisposableStack): void {
  for (const signal of FORWARDED) {
    const listener = () => process.kill(SIGNALS[signal as keyof typeof SIGNALS]);
    Deno.addSignalListener(signal, listener);
    stack.defer(() => Deno.removeSignalListener(signal, listener));
  }
}

/** @returns Settles when all that the process has shown is written. */
function relayTerminal(master: Fd, stack: DisposableStack): Promise<void> {
  stack.use(master);
  const stdin = new Fd(0);
  const stdout = new Fd(1);
  const ending = new AbortController();
  stack.defer(() => ending.abort());
  if (isTerminal(stdin)) {
    stack.use(rawMode(stdin));
    const resize = () => setWindowSize(master, windowSize(stdin));
    resize();
    Deno.addSignalListener("SIGWINCH", resize);
    stack.defer(() => Deno.removeSignalListener("SIGWINCH", resize));
  }
  master.setNonblocking();
  void type(stdin, master, ending.signal).catch(() => {}); // ends with the terminal, whatever is typed then
  return show(master, stdout);
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

/** Copies the terminal's output until every process has closed the terminal. */
async function show(master: Fd, stdout: Fd): Promise<void> {
  const buffer = new Uint8Array(32 * 1024);
  for (let length; (length = await readSome(master, buffer)) > 0;) stdout.writeAll(buffer.subarray(0, length));
}
