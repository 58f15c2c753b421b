/** Watching a VM's processes: the first that ends, ends the VM. @module */
import type { Logger } from "../../base/log.ts";
import type { VmExit } from "../hypervisor.ts";
import type { GuestConsole } from "./guest_console.ts";
import type { Daemons } from "./daemons.ts";
import type { ProcessEnd, VmProcess } from "./vm_process.ts";

/** A daemon ends when the monitor closes its socket: so long the monitor's own end may be in coming. */
const SAME_END_MS = 200;
const CONSOLE_LINES = 5;
/** How a kernel begins to tell of its own death. */
const DEATH = /Kernel panic|Oops|BUG: |invalid opcode|general protection fault/;

export interface WatchOptions {
  monitor: VmProcess;
  daemons: Daemons;
  console: GuestConsole;
  log: Logger;
}

/** Knows when, how and why a VM ended. */
export class VmWatch {
  /** Never rejects. */
  readonly exit: Promise<VmExit>;
  readonly #options: WatchOptions;
  readonly #aborted = new AbortController();
  #expected: string | undefined;
  #guestReset = false;
  #following: Promise<void> = Promise.resolve();

  constructor(options: WatchOptions) {
    this.#options = options;
    this.exit = this.#awaitEnd();
  }

  /** Fires at the end of the VM; its reason is an error that tells why. */
  get ended(): AbortSignal {
    return this.#aborted.signal;
  }

  /** From now on the end of the VM is what was asked for. */
  expect(reason: string): void {
    this.#expected ??= reason;
  }

  /** Notes what the guest has asked its machine for, which is why the monitor is about to end. */
  guestAsked(wish: "reset" | "power off" | "nothing"): void {
    if (wish === "power off") this.expect("the guest powered off");
    this.#guestReset = wish === "reset";
  }

  /** Waits, at the end of the VM, until all that the monitor told has been noted. @param told Never rejects. */
  follow(told: Promise<void>): void {
    this.#following = told;
  }

  async #awaitEnd(): Promise<VmExit> {
    const reason = await this.#firstEnd();
    this.#options.console[Symbol.dispose]();
    await Promise.all([this.#following, this.#options.console.done]);
    const exit = this.#expected === undefined
      ? { expected: false, reason: `${this.#explain(reason)}${this.#consoleWords()}` }
      : { expected: true, reason: this.#expected };
    this.#options.log.info("VM ended", { ...exit });
    this.#aborted.abort(new Error(exit.reason));
    return exit;
  }

  async #firstEnd(): Promise<string> {
    const { monitor, daemons } = this.#options;
    let own: ProcessEnd | undefined;
    void monitor.ended.then((end) => own = end);
    const first = await Promise.race([monitor.ended, daemons.ended]);
    if (first === own) return first.reason;
    const timer = Promise.withResolvers<undefined>();
    const waiting = setTimeout(() => timer.resolve(undefined), SAME_END_MS);
    await Promise.race([monitor.ended, timer.promise]);
    clearTimeout(waiting);
    const { reason } = own ?? first;
    await monitor[Symbol.asyncDispose]();
    return reason;
  }

  #explain(reason: string): string {
    return this.#guestReset ? "the guest reset itself, as its kernel does when it panics" : reason;
  }

  #consoleWords(): string {
    const lines = this.#options.console.tail(100);
    const panic = lines.findIndex((line) => DEATH.test(line));
    const last = panic < 0 ? lines.slice(-CONSOLE_LINES) : lines.slice(panic, panic + CONSOLE_LINES);
    return last.length === 0 ? "" : `; last on its console: ${last.join(" | ")}`;
  }
}
