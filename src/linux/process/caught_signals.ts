/**
 * Signals that are sent to this program, as numbers to be read: all of them, also those of real time, which Deno's own
 * listeners do not know.
 *
 * The handler is machine code, as no JavaScript can run in one: it writes the number into a pipe. Its source is
 * `signal_handler/x86_64.s` and `signal_handler/aarch64.s`.
 *
 * @see https://man7.org/linux/man-pages/man2/sigaction.2.html
 * @module
 */
import { bind, check, LITTLE_ENDIAN } from "../ffi/libc.ts";
import { mapCode } from "../child_program/machine_code.ts";
import type { Architecture } from "../child_program/syscall_numbers.ts";
import { O_NONBLOCK, type Pipe, pipe } from "../io/fd.ts";
import { readSome } from "../io/poll.ts";
import { SIGNALS } from "./signal.ts";

const libc = bind({
  sigaction: { parameters: ["i32", /* signal */ "buffer", /* new action */ "buffer" /* old action */], result: "i32" },
});

/** struct sigaction of glibc: handler, 128 bytes of mask, flags, restorer. */
const ACTION = { handler: 0, mask: 8, maskSize: 128, flags: 136, size: 152 } as const;
const SA_SIGINFO = 4;
const SA_RESTART = 0x10000000;
const SIG_DFL = 0n;
const SIG_IGN = 1n;

/** A handler ends with the number of the descriptor. Its first part is for faults only: those of our own end us. */
const CODE = {
  x86_64: { hex: "837e08007e020f0b57b8010000008b3d0c0000004889e6ba080000000f055fc300000000", sent: 8 },
  aarch64: {
    hex: "290840b93f0100714d00005400000000e00f1ff8e0000018e1030091020180d2080880d2010000d4e00741f8c0035fd600000000",
    sent: 16,
  },
} as const satisfies Record<Architecture, { hex: string; sent: number }>;

/** The bytes of the handler for an architecture. */
export function handlerCode(arch: Architecture): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromHex(CODE[arch].hex);
}

const { SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGKILL, SIGSTOP, SIGCHLD } = SIGNALS;
const FAULTS: readonly number[] = [SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV];
const LAST_SIGNAL = 64;
/** Two more are the C library's. */
const NEVER_CAUGHT: readonly number[] = [SIGKILL, SIGSTOP, SIGCHLD, 32, 33];

/**
 * Signals that Deno takes at some later moment, to tidy up before it ends and for its inspector: it would do so after us
 * and end us. Once it has a listener it does not take them again.
 */
const DENO_OWN = ["SIGHUP", "SIGINT", "SIGTERM", "SIGUSR1"] as const;

function ignore(): void {}

/** Signals sent to this program, from now on until it is disposed. */
export class CaughtSignals implements Disposable {
  readonly #stack = new DisposableStack();
  readonly #pipe: Pipe;
  readonly #word = new Uint8Array(8);

  /** @param options `but`: signals that keep what they do. All others are caught but SIGKILL, SIGSTOP and SIGCHLD. */
  constructor({ but = [] }: { but?: readonly number[] } = {}) {
    using undo = new DisposableStack();
    this.#pipe = undo.use(pipe(O_NONBLOCK));
    const handler = mapHandler(this.#pipe.write.number);
    const left = [...NEVER_CAUGHT, ...but];
    for (const name of DENO_OWN) {
      Deno.addSignalListener(name, ignore);
      undo.defer(() => Deno.removeSignalListener(name, ignore));
    }
    for (let number = 1; number <= LAST_SIGNAL; number++) {
      if (left.includes(number)) continue;
      const before = setAction(number, FAULTS.includes(number) ? handler.fault : handler.sent);
      undo.defer(() => void replaceAction(number, before));
    }
    this.#stack = undo.move();
  }

  /** Waits for the next signal. @returns Its number. @throws The reason of `signal`. */
  async next(options: { signal?: AbortSignal } = {}): Promise<number> {
    await readSome(this.#pipe.read, this.#word, options);
    return this.#word[0]!;
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }
}

/** Stays mapped: a thread may be in it. */
function mapHandler(fd: number): { fault: bigint; sent: bigint } {
  const code = handlerCode(Deno.build.arch);
  new DataView(code.buffer).setUint32(code.length - 4, fd, LITTLE_ENDIAN);
  const fault = Deno.UnsafePointer.value(mapCode(code));
  return { fault, sent: fault + BigInt(CODE[Deno.build.arch].sent) };
}

/** @returns What it did before. */
function setAction(number: number, handler: bigint): Uint8Array<ArrayBuffer> {
  const action = new Uint8Array(ACTION.size);
  const view = new DataView(action.buffer);
  view.setBigUint64(ACTION.handler, handler, LITTLE_ENDIAN);
  action.fill(0xff, ACTION.mask, ACTION.mask + ACTION.maskSize);
  view.setUint32(ACTION.flags, SA_SIGINFO | SA_RESTART, LITTLE_ENDIAN);
  return replaceAction(number, action);
}

function replaceAction(number: number, action: Uint8Array<ArrayBuffer> | null): Uint8Array<ArrayBuffer> {
  const before = new Uint8Array(ACTION.size);
  check("sigaction", () => libc.sigaction(number, action, before), String(number));
  return before;
}

/**
 * Has the kernel keep the ends of children for us, also if our caller ignores SIGCHLD: who does cannot wait for any, and
 * what is ignored stays so over execve(2).
 */
export function keepChildren(): void {
  const before = replaceAction(SIGCHLD, null);
  if (new DataView(before.buffer).getBigUint64(ACTION.handler, LITTLE_ENDIAN) === SIG_IGN) setDefault(SIGCHLD);
}

function setDefault(number: number): void {
  const action = new Uint8Array(ACTION.size);
  new DataView(action.buffer).setBigUint64(ACTION.handler, SIG_DFL, LITTLE_ENDIAN);
  replaceAction(number, action);
}
