/** Steps of the wall clock. @see https://man7.org/linux/man-pages/man2/timerfd_create.2.html @module */
import { isErrno } from "../ffi/errno.ts";
import { bind, check } from "../ffi/libc.ts";
import { Fd, O_CLOEXEC, O_NONBLOCK } from "../io/fd.ts";
import { readable, type WaitOptions } from "../io/poll.ts";

const libc = bind({
  timerfd_create: { parameters: ["i32", /* clock */ "i32" /* flags */], result: "i32" },
  timerfd_settime: {
    parameters: ["i32", /* fd */ "i32", /* flags */ "buffer", /* struct itimerspec */ "buffer" /* the old one */],
    result: "i32",
  },
});

const CLOCK_REALTIME = 0;
const TFD_TIMER_ABSTIME = 1;
const TFD_TIMER_CANCEL_ON_SET = 2;
/** The year 2255, near the last that the kernel can count to. */
const NEVER_S = 9_000_000_000n;

/**
 * Hears of each time that somebody sets the clock, from its construction on, and of the end of a suspension of the machine.
 * Slow corrections, as of NTP, are none. Nothing is done in between.
 */
export class ClockSteps implements Disposable {
  readonly #timer: Fd;

  constructor() {
    using undo = new DisposableStack();
    const flags = O_CLOEXEC | O_NONBLOCK;
    const timer = undo.use(new Fd(check("timerfd_create", () => libc.timerfd_create(CLOCK_REALTIME, flags))));
    // struct itimerspec: the interval, then the time, each in seconds and nanoseconds.
    const when = BigInt64Array.of(0n, 0n, NEVER_S, 0n);
    const how = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET;
    check("timerfd_settime", () => libc.timerfd_settime(timer.number, how, when, null));
    this.#timer = timer;
    undo.move();
  }

  /** Waits for the next step; several that nobody waited for are one. */
  async next(options: WaitOptions = {}): Promise<void> {
    for (;;) {
      await readable(this.#timer, options);
      try {
        this.#timer.read(new Uint8Array(8));
      } catch (error) {
        if (isErrno(error, "ECANCELED")) return;
        if (!isErrno(error, "EAGAIN")) throw error;
      }
    }
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
  }
}
