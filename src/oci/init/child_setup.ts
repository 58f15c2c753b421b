/** How every child of the engine begins, and how it gets its descriptors 0 to 2. @module */
import type { Fd } from "../../linux/io/fd.ts";
import { arrangeDescriptors, type ChildFd, nullForMissing } from "../../linux/child_program/calls.ts";
import type { SyscallProgram } from "../../linux/child_program/program.ts";
import type { Console } from "./console.ts";
import { openFilesLimit } from "../../linux/process/process.ts";
import { joinDevice } from "../../linux/device/number.ts";

/**
 * Descriptors 0 to 2 of a process: /dev/null where one is absent. The engine duplicates them; the caller closes its
 * own. With `process.terminal` they are ignored, and `ContainerProcess.console` is set instead.
 */
export interface Stdio {
  stdin?: Fd;
  stdout?: Fd;
  stderr?: Fd;
}

const UINT_MAX = 0xffff_ffff;

/** Closes all but 0 to 2 and what is kept: for a child that may be looked at from now on. */
export function closeOtherFds(steps: SyscallProgram, kept: readonly number[]): void {
  const sorted = [...new Set(kept)].filter((fd) => fd > 2).sort((a, b) => a - b);
  let next = 3;
  for (const fd of [...sorted, UINT_MAX + 1]) {
    if (fd > next) steps.call("close_range", [next, fd - 1, 0], { label: "close other fds" });
    next = fd + 1;
  }
}

/** A number that no kept descriptor has, high enough for none that is opened later to get it. */
export function freeNumber(kept: readonly number[]): number {
  let number = Math.min(100, openFilesLimit() - 8);
  while (kept.includes(number)) number++;
  return number;
}

/** Numbers from 3 on that the container inherits. */
export function preservedFds(count = 0): number[] {
  return Array.from({ length: count }, (_, index) => 3 + index);
}

/**
 * The stdio descriptors by the number that the child has them by. The caller's /dev/null is none of them: the child opens
 * the container's instead, as root in the container could change owner and mode of the machine's own.
 */
export function stdioFds({ stdin, stdout, stderr }: Stdio): ChildFd[] {
  return [stdin, stdout, stderr].flatMap((fd, child) =>
    fd === undefined || isNullDevice(fd) ? [] : [{ child, fd: fd.number }]
  );
}

function isNullDevice({ number }: Fd): boolean {
  const { isCharDevice, rdev } = Deno.statSync(`/proc/self/fd/${number}`);
  return isCharDevice === true && rdev === Number(joinDevice({ major: 1, minor: 3 }));
}

export interface PlaceOptions {
  /** Set for a process with a terminal. */
  console: Console | undefined;
  stdio: readonly ChildFd[];
  preserveFds: number | undefined;
}

/** Puts descriptors in place; every other one closes at execve. */
export function addDescriptors(steps: SyscallProgram, { console, stdio, preserveFds }: PlaceOptions): void {
  const own: ChildFd[] = console === undefined
    ? [...stdio, ...nullForMissing(steps, stdio)]
    : [0, 1, 2].map((child) => ({ child, fd: console.slave }));
  arrangeDescriptors(steps, [...own, ...preservedFds(preserveFds).map((fd) => ({ child: fd, fd }))]);
}
