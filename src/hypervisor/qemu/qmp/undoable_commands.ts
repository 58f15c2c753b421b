/** Commands that add things to a VM, each of which is undone if a later one fails. @module */
import type { Fd } from "../../../linux/io/fd.ts";
import { type Qmp, QmpError } from "./qmp.ts";

const REMOVAL_MS = 10_000;

/** For taking something away: a QEMU that answers nothing keeps nobody any longer. */
export function removalDeadline(): AbortSignal {
  return AbortSignal.timeout(REMOVAL_MS);
}

export interface UndoableCommand {
  command: string;
  args: Readonly<Record<string, unknown>>;
  fds?: readonly Fd[];
  /** Takes away what the command has added. @param result What QEMU returned. */
  undo(signal: AbortSignal, result: unknown): Promise<unknown>;
}

/** Commands one after the other. Disposing undoes them, the last one first, unless all were kept. */
export class UndoableCommands implements AsyncDisposable {
  readonly #qmp: Qmp;
  readonly #signal: AbortSignal | undefined;
  readonly #undo = new AsyncDisposableStack();

  constructor(qmp: Qmp, signal?: AbortSignal) {
    this.#qmp = qmp;
    this.#signal = signal;
  }

  /** @throws As {@linkcode Qmp.execute}. A command that was given up is undone too, as it may still have taken effect. */
  async run({ command, args, fds = [], undo }: UndoableCommand): Promise<unknown> {
    try {
      const result = await this.#qmp.execute(command, args, { signal: this.#signal, fds });
      this.#undo.defer(async () => void await undo(removalDeadline(), result));
      return result;
    } catch (error) {
      // A command that QEMU refused has added nothing, and its name may be another device's.
      if (!(error instanceof QmpError)) this.#undo.defer(() => undoIfThere(undo));
      throw error;
    }
  }

  /** Commands of a scope of their own, for what lasts no longer than until a later one has used it. */
  nested(): UndoableCommands {
    return new UndoableCommands(this.#qmp, this.#signal);
  }

  /** Gives QEMU a descriptor under a name, which the command that uses it takes away. */
  async sendFd(name: string, fd: Fd): Promise<string> {
    const close = (signal: AbortSignal) => this.#qmp.execute("closefd", { fdname: name }, { signal });
    const undo = () => undoIfThere(close);
    await this.run({ command: "getfd", args: { fdname: name }, fds: [fd], undo });
    return name;
  }

  /** Something else to undo. */
  defer(undo: () => void | Promise<void>): void {
    this.#undo.defer(undo);
  }

  /** Keeps the effect of the commands: disposing undoes nothing any more. */
  keep(): void {
    this.#undo.move();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#undo[Symbol.asyncDispose]();
  }
}

/** QEMU refuses it where there is nothing. */
async function undoIfThere(undo: UndoableCommand["undo"]): Promise<void> {
  try {
    await undo(removalDeadline(), undefined);
  } catch (error) {
    if (!(error instanceof QmpError)) throw error;
  }
}
