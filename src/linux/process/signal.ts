/**
 * Names and numbers of signals, the same on x86-64 and aarch64.
 *
 * @see https://man7.org/linux/man-pages/man7/signal.7.html
 * @module
 */

/** Standard signals by name. */
export const SIGNALS = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGSTKFLT: 16,
  SIGCHLD: 17,
  SIGCONT: 18,
  SIGSTOP: 19,
  SIGTSTP: 20,
  SIGTTIN: 21,
  SIGTTOU: 22,
  SIGURG: 23,
  SIGXCPU: 24,
  SIGXFSZ: 25,
  SIGVTALRM: 26,
  SIGPROF: 27,
  SIGWINCH: 28,
  SIGIO: 29,
  SIGPWR: 30,
  SIGSYS: 31,
} as const;

export type SignalName = keyof typeof SIGNALS;

const SIGRTMIN = 34;
const SIGRTMAX = 64;

/**
 * Reads a signal as people write it: `SIGTERM`, `term`, `15`, `SIGRTMIN+3`, `RTMAX-1`.
 *
 * @returns 0 (which only asks whether the process exists) to 64.
 * @throws {RangeError} There is no such signal.
 */
export function parseSignal(text: string): number {
  const name = text.trim().toUpperCase().replace(/^SIG/, "");
  const [, base, offset = "0"] = /^(RTMIN|RTMAX)([+-]\d+)?$/.exec(name) ?? [];
  const number = base !== undefined
    ? (base === "RTMIN" ? SIGRTMIN : SIGRTMAX) + Number(offset)
    : /^\d+$/.test(name)
    ? Number(name)
    : numberOf(`SIG${name}`);
  if (number === undefined || number > SIGRTMAX || (base !== undefined && number < SIGRTMIN)) {
    throw new RangeError(`Cannot send signal "${text}": there is no such signal`);
  }
  return number;
}

function numberOf(name: string): number | undefined {
  if (name === "SIGCLD") return SIGNALS.SIGCHLD;
  if (name === "SIGPOLL") return SIGNALS.SIGIO;
  return Object.hasOwn(SIGNALS, name) ? SIGNALS[name as SignalName] : undefined;
}

/** @returns `SIGTERM` for 15, `SIGRTMIN+3` for 37. */
export function signalName(number: number): string {
  if (number >= SIGRTMIN && number <= SIGRTMAX) {
    return number === SIGRTMIN ? "SIGRTMIN" : `SIGRTMIN+${number - SIGRTMIN}`;
  }
  const found = Object.entries(SIGNALS).find(([, value]) => value === number);
  return found?.[0] ?? `signal ${number}`;
}
