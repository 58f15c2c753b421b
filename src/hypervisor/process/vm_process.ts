/** A program that runs for a VM: the monitor, virtiofsd, the vsock daemon. @module */
import type { Logger } from "../../base/log.ts";
import { Fd, pipe } from "../../linux/io/fd.ts";
import { readableStream } from "../../linux/io/fd_stream.ts";
import { signalName } from "../../linux/process/signal.ts";
import { type Child, type ExitStatus, spawn } from "../../linux/process/spawn.ts";
import { LastLines, readLines } from "./last_lines.ts";
import { recordPid } from "./pid_file.ts";
import type { VmmUser } from "./vmm_user.ts";

/** Enough for an assertion and what led to it, short enough for one line. */
const KEPT_LINES = 5;
export interface ProcessOptions {
  /** Short name for logs, messages and the pid file: `qemu`. */
  name: string;
  path: string;
  /** Without the program's own name. */
  args: readonly string[];
  /** Where the pid file goes. */
  runDir: string;
  log: Logger;
  fds?: readonly { child: number; fd: Fd }[];
  netns?: Fd | undefined;
  cgroupProcs?: readonly string[] | undefined;
  /** Where it runs; default: where we do. */
  cwd?: string;
  /** User of the process; default: root. */
  user?: VmmUser | undefined;
  /** `none`: without capabilities. Default: ours. */
  rights?: "none";
}

export interface ProcessEnd {
  status: ExitStatus;
  /** One line: who ended, how, and its last words. */
  reason: string;
}

/**
 * A process that runs for a VM: the monitor or a daemon. Its standard error goes to the log line by line. Disposing it
 * kills it and waits.
 */
export class VmProcess implements AsyncDisposable {
  readonly name: string;
  /** The end of the process; never rejects. */
  readonly ended: Promise<ProcessEnd>;
  readonly #child: Child;
  readonly #record: Disposable;
  readonly #died = new AbortController();

  /** Use {@linkcode VmProcess.start}. */
  constructor(child: Child, { name, runDir, log, stderr }: ProcessOptions & { stderr: Fd }) {
    this.name = name;
    this.#child = child;
    this.#record = recordPid(runDir, { name, pid: child.pid });
    const words = new LastLines(KEPT_LINES, (line) => log.info(line, { source: name }));
    this.ended = this.#awaitEnd(words, stderr);
  }

  /** @throws {Error} `Cannot start "/usr/bin/qemu"`, with the step and errno as its cause. */
  static start(options: ProcessOptions): VmProcess {
    const { name, path, args, log, fds = [], netns, cgroupProcs, cwd, user, rights } = options;
    using stderr = pipe();
    const child = spawn({
      path,
      args: [path, ...args],
      fds: [{ child: 2, fd: stderr.write }, ...fds],
      newSession: true,
      ...(netns && { netns }),
      ...(cgroupProcs && { cgroupProcs }),
      ...(cwd !== undefined && { cwd }),
      ...user,
      ...(rights && { rights }),
    });
    log.info(`Started ${name}`, { uid: user?.uid ?? 0, child: child.pid, command: [path, ...args].join(" ") });
    return new VmProcess(child, { ...options, stderr: new Fd(stderr.read.release()) });
  }

  /** Fires at the end of the process; its reason is an error that tells how it ended. */
  get died(): AbortSignal {
    return this.#died.signal;
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Kills the process if it still runs, waits for its end and removes its pid file. Idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child[Symbol.asyncDispose]();
    await this.ended;
    this.#record[Symbol.dispose]();
  }

  async #awaitEnd(words: LastLines, stderr: Fd): Promise<ProcessEnd> {
    const ended = new AbortController();
    const reading = readLines(stderr, words, { ended: ended.signal });
    const status = await this.#child.wait();
    ended.abort();
    await reading;
    const end = "code" in status ? `exited with status ${status.code}` : `was killed by ${signalName(status.signal)}`;
    const said = words.lines.length === 0 ? "" : `; it said: ${words.lines.join(" | ")}`;
    const reason = `${this.name} (pid ${this.pid}) ${end}${said}`;
    this.#died.abort(new Error(reason));
    return { status, reason };
  }
}

/** Runs a program to its end. @returns What it wrote, standard output and standard error together. */
export async function outputOf(path: string, args: readonly string[]): Promise<string> {
  using output = pipe();
  await using _child = spawn({
    path,
    args: [path, ...args],
    fds: [{ child: 1, fd: output.write }, { child: 2, fd: output.write }],
    rights: "none",
  });
  output.write[Symbol.dispose]();
  return await new Response(readableStream(new Fd(output.read.release()))).text();
}
