/**
 * A child that is apart: it shares no memory with us but its steps, from its own first step on, and has the descriptors
 * that it was promised, and no others.
 *
 * ```text
 * clone3 with our memory     no step of its own yet, and in no other namespace than a new one
 *   close_range, fcntl       what it keeps survives
 *   execve                   of an executable of two pages, which maps the steps
 * its own steps              with us, as long as others may not look: results are seen on both sides
 *   partSteps()              from here on alone
 *   forkStage2()               its stage-2 child is what others see
 * execve                     of the program
 * ```
 *
 * A failure is told over a pipe, which ends at the last execve.
 *
 * @module
 */
import { isErrno } from "../ffi/errno.ts";
import { AT_EMPTY_PATH, Fd, FD_CLOEXEC, type Pipe, pipe } from "../io/fd.ts";
import { HEADER } from "./machine_code.ts";
import { openFilesLimit } from "../process/process.ts";
import type { Piece, ProgramMemory } from "./memory.ts";
import { smallProgram } from "./small_program.ts";
import { HIGH_NUMBER, Slot, type Step, systemCall } from "./call.ts";

export interface ApartOptions {
  /** Descriptors that the child's steps need, besides 0, 1 and 2. The child has them by the same numbers. */
  keeps: readonly number[];
}

const CLOSE_RANGE_CLOEXEC = 4;
const UINT_MAX = 0xffff_ffff;
const F_SETFD = 2;

/** Results of steps that are told together with a failure: `explain` of the step that failed may read them. */
const MOST_RESULTS = 64;
const REPORT_AT = HEADER.failed;
const REPORT_BYTES = HEADER.size - REPORT_AT + 8 * MOST_RESULTS;

export class ApartChild implements Disposable {
  /** Of its own steps, with the results behind it. */
  readonly header: Piece;
  /** Number of the pipe over which the child tells a failure; close-on-exec, and open until then. */
  readonly reportNumber: number;
  readonly #memory: ProgramMemory;
  readonly #keeps: readonly number[];
  readonly #report: Pipe = pipe();
  readonly #image: Fd;
  #results = 0;

  constructor(memory: ProgramMemory, { keeps }: ApartOptions) {
    using undo = new DisposableStack();
    undo.use(this.#report);
    const { file } = memory.apart!;
    this.#memory = memory;
    this.#keeps = [...new Set([...keeps.filter((number) => number > 2), file.number])];
    this.reportNumber = unusedNumber(this.#keeps);
    this.header = memory.allocate(HEADER.size + 8 * MOST_RESULTS);
    this.#image = smallProgram(memory.apart!, this.header.address);
    undo.move();
  }

  /** A slot whose value we see if the child fails; undefined if there is no more room for one. */
  toldSlot(): Slot | undefined {
    if (this.#results === MOST_RESULTS) return undefined;
    const offset = HEADER.size + 8 * this.#results++;
    const { address, view } = this.header;
    return new Slot({ address: address + offset, view: new DataView(view.buffer, view.byteOffset + offset, 8) });
  }

  /** In our memory still: all that it keeps survives the execve. */
  passage(): Step[] {
    const { write } = this.#report;
    const empty = this.#memory.pointers([]);
    const label = "become a small program";
    return [
      systemCall("close_range", [3, UINT_MAX, CLOSE_RANGE_CLOEXEC], { label: "close other fds" }),
      systemCall("dup3", [write.number, this.reportNumber, 0], { label: "keep the pipe of failures" }),
      ...this.#keeps.map((number) => systemCall("fcntl", [number, F_SETFD, 0], { label: `keep fd ${number}` })),
      systemCall("execveat", [
        this.#image.number,
        this.#memory.string(""),
        this.#memory.pointers([this.#memory.string("init")]),
        empty,
        AT_EMPTY_PATH,
      ], { label }),
    ];
  }

  /** Before all steps of its own. */
  arrival(): Step[] {
    return [systemCall("fcntl", [this.reportNumber, F_SETFD, FD_CLOEXEC], { label: "hide the pipe of failures" })];
  }

  /** Steps for the child to run when one of its steps fails. */
  failing(): Step[] {
    const { address } = this.header;
    return [systemCall("write", [this.reportNumber, address + REPORT_AT, REPORT_BYTES], { ignore: "all" })];
  }

  /** Once the child has them: closes our ends. @returns The end to read. */
  take(): Fd {
    this.#image[Symbol.dispose]();
    this.#report.write[Symbol.dispose]();
    this.#memory.apart!.file[Symbol.dispose]();
    this.#report.read.setNonblocking();
    return new Fd(this.#report.read.release());
  }

  [Symbol.dispose](): void {
    this.#image[Symbol.dispose]();
    this.#report[Symbol.dispose]();
  }
}

/** Takes what a child tells, if it has failed, into its header as we see it. */
export function receiveReport(report: Fd, header: DataView<ArrayBuffer>): void {
  const bytes = new Uint8Array(header.buffer, header.byteOffset + REPORT_AT, REPORT_BYTES);
  const told = new Uint8Array(REPORT_BYTES);
  try {
    if (report.read(told) === REPORT_BYTES) bytes.set(told);
  } catch (error) {
    if (!isErrno(error, "EAGAIN")) throw error;
  }
}

/** The highest that the limit leaves, if that is a low one. */
function unusedNumber(used: readonly number[]): number {
  const beyond = Math.max(HIGH_NUMBER, ...used.map((one) => one + 1));
  const limit = openFilesLimit();
  if (beyond < limit) return beyond;
  let number = limit - 1;
  while (used.includes(number)) number--;
  return number;
}
