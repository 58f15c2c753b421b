/** Saving the state of a VM that is paused, and loading it into another QEMU. Memory is not in it, as both share a file. @module */
import { KataError } from "../../../base/error.ts";
import type { Fd } from "../../../linux/io/fd.ts";
import { fdSet, type QemuVersion } from "./answers.ts";
import { type Qmp, QmpError, type QmpEvent } from "./qmp.ts";
import { UndoableCommands } from "./undoable_commands.ts";

/** Under this name QEMU knows the file. */
const STATE = "state";
/** Half a megabyte, without any memory. QEMU's end is noticed anyway, and nobody waits for a template to be saved. */
const SAVE_MS = 60_000;
/** A machine that cannot be loaded by then boots. */
const LOAD_MS = 10_000;
/** The first version that takes a file for what it is; later ones take none in the place of a socket any more. */
const FILES_SINCE: QemuVersion = { major: 8, minor: 2 };

/** @param state Open for writing. */
export async function saveState(qmp: Qmp, state: Fd): Promise<void> {
  await migrate(qmp, "migrate", { state, signal: AbortSignal.timeout(SAVE_MS) });
}

/** Loads a state into a QEMU that was started with `-incoming defer`. @param state Open for reading, at its start. */
export async function loadState(qmp: Qmp, state: Fd, signal: AbortSignal): Promise<void> {
  await migrate(qmp, "migrate-incoming", { state, signal: AbortSignal.any([signal, AbortSignal.timeout(LOAD_MS)]) });
}

interface MigrateOptions {
  state: Fd;
  signal: AbortSignal;
}

/** @throws {KataError} FAILED_PRECONDITION: this QEMU cannot do it, whose version the message names. */
async function migrate(qmp: Qmp, command: "migrate" | "migrate-incoming", options: MigrateOptions): Promise<void> {
  try {
    await run(qmp, command, options);
  } catch (cause) {
    if (!(cause instanceof QmpError)) throw cause;
    const { major, minor } = qmp.version ?? {};
    const version = major === undefined ? "of unknown version" : `${major}.${minor}`;
    const what = command === "migrate" ? "save the state of a machine" : "load the state of a machine";
    throw new KataError("FAILED_PRECONDITION", `Cannot ${what} with QEMU ${version}`, { cause });
  }
}

async function run(
  qmp: Qmp,
  command: "migrate" | "migrate-incoming",
  { state, signal }: MigrateOptions,
): Promise<void> {
  const capabilities = ["events", "x-ignore-shared"].map((capability) => ({ capability, state: true }));
  await qmp.execute("migrate-set-capabilities", { capabilities }, { signal });
  await using given = new UndoableCommands(qmp, signal);
  const uri = takesFiles(qmp.version) ? await giveFile(given, { qmp, state }) : await giveAsSocket(given, state);
  const finished = qmp.waitFor(isEnd, signal);
  // Either may fail first, and then the other one has nobody who waits.
  finished.catch(() => {});
  await qmp.execute(command, { uri }, { signal });
  const { data: { status } } = await finished;
  if (status !== "completed") throw new Error(`${command} ${status}`);
}

/** A QEMU that does not tell its version is not one of old. */
function takesFiles(version: QemuVersion = FILES_SINCE): boolean {
  const { major, minor } = version;
  return major > FILES_SINCE.major || (major === FILES_SINCE.major && minor >= FILES_SINCE.minor);
}

async function giveFile(given: UndoableCommands, { qmp, state }: { qmp: Qmp; state: Fd }): Promise<string> {
  const remove = async (signal: AbortSignal, added: unknown) =>
    added === undefined || await qmp.execute("remove-fd", { "fdset-id": fdSet(added) }, { signal });
  const added = await given.run({ command: "add-fd", args: {}, fds: [state], undo: remove });
  return `file:/dev/fdset/${fdSet(added)}`;
}

/** The migration takes it away, or its failure leaves the name, which is removed. */
async function giveAsSocket(given: UndoableCommands, state: Fd): Promise<string> {
  return `fd:${await given.sendFd(STATE, state)}`;
}

function isEnd({ event, data }: QmpEvent): boolean {
  return event === "MIGRATION" && ["completed", "failed", "cancelled"].includes(String(data.status));
}
