/**
 * The terminal of a process: a pair from the container's own devpts, so that its name there is right. The master goes to
 * the parent over a socket.
 *
 * @see https://man7.org/linux/man-pages/man2/ioctl_tty.2.html
 * @module
 */
import { AT_EMPTY_PATH, type Fd, O_CLOEXEC, O_NOCTTY, O_RDWR } from "../../linux/io/fd.ts";
import { receiveFds } from "../../linux/net/socket.ts";
import type { Slot } from "../../linux/child_program/call.ts";
import type { SyscallProgram } from "../../linux/child_program/program.ts";
import { newTerminalSettings, TTY_REQUEST } from "../../linux/io/tty.ts";
import { OPEN_TREE_CLONE } from "../../linux/mount/mount_options.ts";
import { type Await, waitFor } from "./held.ts";
import type { RootDirectory } from "../mount/rootfs.ts";
import type { Box } from "../spec/spec.ts";

export interface Console {
  slave: Slot;
}

/** A process's terminal, as its configuration and its caller want it. */
export interface ConsoleOptions {
  size: Box | undefined;
  /** Whether lines end as they are written: for a caller that shows them elsewhere than on a screen. */
  keepsLineEnds: boolean | undefined;
}

/** @param master Where /dev/ptmx of the container was opened. */
export function addConsole(steps: SyscallProgram, master: Slot, { size, keepsLineEnds }: ConsoleOptions): Console {
  const label = "open terminal";
  const unlocked = new Uint8Array(4);
  steps.call("ioctl", [master, TTY_REQUEST.TIOCSPTLCK, unlocked], { label });
  const slave = steps.slot();
  const flags = O_RDWR | O_NOCTTY | O_CLOEXEC;
  steps.call("ioctl", [master, TTY_REQUEST.TIOCGPTPEER, flags], { label, result: slave });
  if (keepsLineEnds) {
    const settings = newTerminalSettings("kept");
    steps.call("ioctl", [slave, TTY_REQUEST.TCSETS, settings], { label: "set terminal" });
  }
  if (size !== undefined) {
    const window = new Uint8Array(Uint16Array.of(size.height, size.width, 0, 0).buffer);
    steps.call("ioctl", [master, TTY_REQUEST.TIOCSWINSZ, window], { label: "set terminal size" });
  }
  return { slave };
}

/** The master of the child's terminal. @returns Undefined if the child has ended instead. */
export async function receiveMaster(socket: Fd, wait: Await = waitFor): Promise<Fd | undefined> {
  await wait(socket, "hand over its terminal");
  return receiveFds(socket, new Uint8Array(1)).fds[0];
}

/** How the container's ptmx is opened. */
export const PTMX_FLAGS: number = O_RDWR | O_NOCTTY | O_CLOEXEC;

/** Shows the terminal as /dev/console. */
export function bindConsole(steps: SyscallProgram, root: RootDirectory, { slave }: Console): void {
  const label = "mount terminal on /dev/console";
  root.makeFile("/dev/console");
  const tree = steps.slot();
  steps.call("open_tree", [slave, "", OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH], { label, result: tree });
  const target = root.open("/dev/console");
  root.place(tree, target, { label });
  steps.close(target);
}
