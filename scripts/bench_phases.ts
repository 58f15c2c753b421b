/**
 * Where the time of `runk run --detach` goes: strace notes when certain system calls are made, and those stand at the
 * borders of the phases. So nothing of it is in the program itself. strace makes everything slower, starts of threads and
 * the exit most.
 *
 * @module
 */

/** The last event of a phase, found behind that of the phase before. */
interface Phase {
  name: string;
  /** In strace's words, without pid and time. */
  end: RegExp;
}

/** In order. */
export const PHASES: readonly Phase[] = [
  { name: "head of the portable file", end: /^execveat\(\d+, "deno"/ },
  { name: "Deno: loader and libraries", end: /^openat\(AT_FDCWD, "\/proc\/self\/maps"/ },
  { name: "Deno: its own start", end: /^openat\(AT_FDCWD, "[^"]*\/runk\.js"/ },
  { name: "loading and evaluating the program", end: /^openat\(AT_FDCWD, "[^"]*\/config\.json"/ },
  { name: "configuration and cgroup layout", end: /^mkdir\("[^"]*\/phases-[^"]*"/ },
  { name: "state directory and cgroups", end: /^clone3\(\{flags=CLONE_VM\|CLONE_PIDFD/ },
  { name: "planning, beside the child's namespaces", end: /^openat\(AT_FDCWD, "\/proc\/\d+\/stat"/ },
  { name: "the child's steps up to its root", end: /^openat\(AT_FDCWD, "\/", O_RDONLY\|O_CLOEXEC\|O_PATH/ },
  { name: "its identity, limits", end: /^openat\(AT_FDCWD, "[^"]*\/phases-\d+", O_RDONLY/ },
  { name: "start", end: /^execve\("\/bin\/true"/ },
  { name: "after the start", end: /^exit_group\(0( <unfinished|\) += \?)/ },
  { name: "exit", end: /^\+\+\+ exited with/ },
];

/** System calls that strace has to note for these. */
export const TRACED = "execve,execveat,openat,mkdir,clone3,exit_group";

/**
 * @param trace What `strace -f -ttt` wrote.
 * @returns Milliseconds of each phase; the last ends with the process that began.
 * @throws {Error} An end is missing: the program does other calls than these.
 */
export function phasesOf(trace: string): number[] {
  const events = trace.split("\n").flatMap((line) => {
    const [, pid, seconds, what = ""] = /^(\d+)\s+(\d+\.\d+) (.*)$/.exec(line) ?? [];
    return pid === undefined ? [] : [{ pid, ms: Number(seconds) * 1000, what }];
  });
  const first = events[0]?.pid;
  const ofChild = new Set(["the child's steps up to its root", "start"]);
  let [at, birth] = [0, 0];
  return PHASES.map(({ name, end }) => {
    const begin = events[at]?.ms ?? NaN;
    // The child may be as far before we are.
    const after = ofChild.has(name) ? birth : at;
    const found = events.findIndex(({ pid, what }, index) =>
      index > after && end.test(what) && (pid === first) !== ofChild.has(name)
    );
    if (found < 0) throw new Error(`Cannot find the end of phase "${name}" in the trace`);
    if (name === "state directory and cgroups") birth = found;
    at = Math.max(at, found);
    return events[at]!.ms - begin;
  });
}
