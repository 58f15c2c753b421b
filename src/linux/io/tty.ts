/**
 * Terminals: pairs of them, their size, and the mode in which they leave every byte alone.
 *
 * @see https://man7.org/linux/man-pages/man2/ioctl_tty.2.html
 * @module
 */
import { Fd, O_CLOEXEC, O_NOCTTY, O_RDWR } from "./fd.ts";
import { bind, check } from "../ffi/libc.ts";

const libc = bind({
  isatty: { parameters: ["i32"], result: "i32" },
  ioctl: { parameters: ["i32", "u64", /* request */ "buffer"], result: "i32" },
  openPeer: { name: "ioctl", parameters: ["i32", "u64", /* request */ "i32" /* open flags */], result: "i32" },
  tcgetattr: { parameters: ["i32", "buffer" /* termios */], result: "i32" },
  tcsetattr: { parameters: ["i32", "i32", /* when */ "buffer" /* termios */], result: "i32" },
  cfmakeraw: { parameters: ["buffer" /* termios */], result: "void" },
});

/** Requests that steps of a child make too. */
export const TTY_REQUEST = {
  TCSETS: 0x5402,
  TIOCSCTTY: 0x540e,
  TIOCGWINSZ: 0x5413,
  TIOCSWINSZ: 0x5414,
  TIOCGPTN: 0x80045430,
  TIOCSPTLCK: 0x40045431,
  TIOCGPTPEER: 0x5441,
} as const;

/** A pair: what is written to one side is read from the other. The caller owns both. */
export interface Pty {
  readonly master: Fd;
  readonly slave: Fd;
  /** The slave's name in the devpts of this mount namespace. */
  readonly path: string;
}

/** @param ptmx The devpts to take it from. */
export function openPty(ptmx = "/dev/ptmx"): Pty {
  using stack = new DisposableStack();
  const master = stack.use(Fd.open(ptmx, O_RDWR | O_NOCTTY));
  const number = new Uint32Array(1);
  check("TIOCSPTLCK", () => libc.ioctl(master.number, TTY_REQUEST.TIOCSPTLCK, new Int32Array(1)), ptmx);
  check("TIOCGPTN", () => libc.ioctl(master.number, TTY_REQUEST.TIOCGPTN, number), ptmx);
  const flags = O_RDWR | O_NOCTTY | O_CLOEXEC;
  const slave = check("TIOCGPTPEER", () => libc.openPeer(master.number, TTY_REQUEST.TIOCGPTPEER, flags), ptmx);
  stack.move();
  return { master, slave: new Fd(slave), path: `/dev/pts/${number[0]}` };
}

export function isTerminal(fd: Fd): boolean {
  return libc.isatty(fd.number) === 1;
}

/** In characters. */
export interface WindowSize {
  rows: number;
  columns: number;
}

/** @throws {ErrnoError} ENOTTY */
export function windowSize(fd: Fd): WindowSize {
  const size = new Uint16Array(4); // struct winsize
  check("TIOCGWINSZ", () => libc.ioctl(fd.number, TTY_REQUEST.TIOCGWINSZ, size));
  return { rows: size[0]!, columns: size[1]! };
}

/** Programs in the foreground of the terminal learn of it by SIGWINCH. */
export function setWindowSize(fd: Fd, { rows, columns }: WindowSize): void {
  const size = Uint16Array.of(rows, columns, 0, 0);
  check("TIOCSWINSZ", () => libc.ioctl(fd.number, TTY_REQUEST.TIOCSWINSZ, size));
}

/** Room for struct termios of glibc. */
const TERMIOS_SIZE = 64;
const TCSANOW = 0;

/** Offset of the output flags in it, which Linux begins with. */
const OUTPUT_FLAGS = 4;

/**
 * No echo, no lines, no signals from keys: each byte that is typed passes as it is, until disposed. What is shown is
 * treated as before, as whole lines want it.
 */
export function rawMode(fd: Fd): Disposable {
  const before = new Uint8Array(TERMIOS_SIZE);
  check("tcgetattr", () => libc.tcgetattr(fd.number, before));
  const raw = before.slice();
  libc.cfmakeraw(raw);
  raw.set(before.subarray(OUTPUT_FLAGS, OUTPUT_FLAGS + 4), OUTPUT_FLAGS);
  check("tcsetattr", () => libc.tcsetattr(fd.number, TCSANOW, raw));
  return {
    [Symbol.dispose]() {
      check("tcsetattr", () => libc.tcsetattr(fd.number, TCSANOW, before));
    },
  };
}

const [ICRNL, IXON] = [0o400, 0o2000];
const [OPOST, ONLCR] = [0o1, 0o4];
const [B38400, CS8, CREAD] = [0o17, 0o60, 0o200];
/** ISIG, ICANON, ECHO, ECHOE, ECHOK, ECHOCTL, ECHOKE, IEXTEN. */
const LINES = 0o1 | 0o2 | 0o10 | 0o20 | 0o40 | 0o1000 | 0o4000 | 0o100000;
const KEYS = [3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 0];

/**
 * The kernel's settings of a new terminal for `TCSETS`, but for what it does at the end of a line.
 *
 * @param lineEnds `kept` as they are written, or `returned`, as a screen wants them.
 */
export function newTerminalSettings(lineEnds: "kept" | "returned"): Uint8Array<ArrayBuffer> {
  const settings = new Uint8Array(36); // struct termios of the kernel: four u32, u8 line discipline, 19 keys
  const output = OPOST | (lineEnds === "kept" ? 0 : ONLCR);
  settings.set(new Uint8Array(Uint32Array.of(ICRNL | IXON, output, B38400 | CS8 | CREAD, LINES).buffer));
  settings.set(KEYS, 17);
  return settings;
}
