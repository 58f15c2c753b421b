/**
 * A child that is apart: it shares no memory with us but a page that only it and we have, and has the descriptors that it
 * was promised, and no others.
 *
 * ```text
 * clone3 with our memory     no step of its own yet, and in no other namespace than a new one
 *   close_range, fcntl       what it keeps survives
 *   execve                   of an executable of two pages, which maps the steps: what it writes there is its own
 * its own steps
 *   forkStage2()               its stage-2 child is what others see; that has no page in common with us
 * execve                     of the program
 * ```
 *
 * A failure is told over a pipe, which ends at the last execve.
 *
 * @module
 */
import { isErrno } from "../ffi/errno.ts";
import { AT_EMPTY_PATH, F_SETFD, Fd, type Pipe, pipe } from "../io/fd.ts";
import { HEADER } from "./machine_code.ts";
import { openFilesLimit } from "../process/process.ts";
import { type Piece, type ProgramMemory, setWord } from "./memory.ts";
import { MOST_RESULTS, type OwnNumbers, REPORT, type SmallProgram, smallProgram } from "./small_program.ts";
import { HIGH_NUMBER, Slot, type Step, systemCall } from "./call.ts";

export interface ApartOptions {
  /** Descriptors that the child's steps need, besides 0, 1 and 2. The child has them by the same numbers. */
  keeps: readonly number[];
}

const CLOSE_RANGE_CLOEXEC = 4;
const UINT_MAX = 0xffff_ffff;

export class ApartChild implements Disposable {
  /** Of its own steps, with the results behind it: the first piece of the memory. */
  readonly header: Piece;
  /** Close-on-exec and open until then is the pipe over which the child tells a failure. */
  readonly numbers: OwnNumbers;
  readonly #memory: ProgramMemory;
  readonly #keeps: readonly number[];
  readonly #report: Pipe = pipe();
  #results = 0;

  constructor(memory: ProgramMemory, { keeps }: ApartOptions) {
    using undo = new DisposableStack();
    undo.use(this.#report);
    this.#memory = memory;
    this.#keeps = [...new Set(keeps.filter((number) => number > 2))];
    this.numbers = unusedNumbers([...this.#keeps, memory.file!.number, this.#report.write.number]);
    this.header = memory.allocate(HEADER.size + 8 * MOST_RESULTS);
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
    const { report, memory } = this.numbers;
    return [
      systemCall("close_range", [3, UINT_MAX, CLOSE_RANGE_CLOEXEC], { label: "close other fds" }),
      systemCall("dup3", [this.#report.write.number, report, 0], { label: "keep the pipe of failures" }),
      systemCall("dup3", [this.#memory.file!.number, memory, 0], { label: "keep the memory" }),
      ...this.#keeps.map((number) => systemCall("fcntl", [number, F_SETFD, 0], { label: `keep fd ${number}` })),
      this.#becomeSmall(),
    ];
  }

  #becomeSmall(): Step {
    const name = new TextEncoder().encode("init\0");
    const [argv, none, text] = [0, 8, 16];
    const { address, view } = this.#memory.ours.allocate(text + name.length);
    setWord(view, argv, address + text);
    name.forEach((byte, index) => view.setUint8(text + index, byte));
    const empty = address + text + name.length - 1;
    const { image } = smallProgram(this.numbers);
    const args = [image.number, empty, address + argv, address + none, AT_EMPTY_PATH];
    return systemCall("execveat", args, { label: "become a small program" });
  }

  /** Steps for the child to run when one of its steps fails. */
  get failing(): SmallProgram["failing"] {
    return smallProgram(this.numbers).failing;
  }

  /** Once the child has them: closes our ends. @returns The end to read. */
  take(): Fd {
    this.#report.write[Symbol.dispose]();
    this.#memory.file![Symbol.dispose]();
    this.#report.read.setNonblocking();
    return new Fd(this.#report.read.release());
  }

  [Symbol.dispose](): void {
    this.#report[Symbol.dispose]();
  }
}

/** Takes what a child tells, if it has failed, into its header as we see it. */
export function receiveReport(report: Fd, header: DataView<ArrayBuffer>): void {
  const bytes = new Uint8Array(header.buffer, header.byteOffset + REPORT.offset, REPORT.size);
  const told = new Uint8Array(REPORT.size);
  try {
    if (report.read(told) === REPORT.size) bytes.set(told);
  } catch (error) {
    if (!isErrno(error, "EAGAIN")) throw error;
  }
}

/** Numbers beyond all that are used; or the highest that the limit leaves, if that is a low one. */
function unusedNumbers(used: readonly number[]): OwnNumbers {
  const beyond = Math.max(HIGH_NUMBER, ...used.map((one) => one + 1));
  const limit = openFilesLimit();
  if (beyond + 1 < limit) return { report: beyond, memory: beyond + 1 };
  let report = limit - 1;
  while (used.includes(report)) report--;
  let memory = report - 1;
  while (used.includes(memory)) memory--;
  return { report, memory };
}
