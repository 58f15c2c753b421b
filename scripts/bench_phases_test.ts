import assert from "node:assert/strict";
import { PHASES, phasesOf } from "./bench_phases.ts";

const TRACE = `7     10.000000 execve("/x/dist/runk", ["/x/dist/runk", "run"], 0x7 /* 9 vars */) = 0
7     10.001000 execveat(3, "deno", ["deno", "run"], 0x7 /* 9 vars */, 0) = 0
7     10.004000 openat(AT_FDCWD, "/proc/self/maps", O_RDONLY|O_CLOEXEC) = 3
7     10.005000 clone3({flags=CLONE_VM|CLONE_FS|CLONE_THREAD, stack_size=0x7} => {parent_tid=[8]}, 88) = 8
8     10.015000 openat(AT_FDCWD, "/c/cache", O_RDWR <unfinished ...>
7     10.020000 openat(AT_FDCWD, "/c/runk.js", O_RDONLY|O_CLOEXEC) = 21
7     10.025000 openat(AT_FDCWD, "/b/config.json", O_RDONLY|O_CLOEXEC) = 21
7     10.026000 mkdir("/s", 0700) = -1 EEXIST (File exists)
7     10.027000 mkdir("/s/phases-1", 0700) = 0
7     10.027500 openat(AT_FDCWD, "/s/phases-1", O_RDONLY|O_CLOEXEC|O_DIRECTORY) = 21
7     10.030000 clone3({flags=CLONE_VM|CLONE_PIDFD|CLONE_NEWPID, stack_size=0x1000}, 88) = 9
9     10.031000 openat(AT_FDCWD, "/proc/self/attr", O_RDONLY) = 5
7     10.033000 openat(AT_FDCWD, "/b/rootfs", O_RDONLY|O_CLOEXEC|O_PATH|O_DIRECTORY) = 26
7     10.037000 openat(AT_FDCWD, "/proc/9/stat", O_RDONLY|O_CLOEXEC) = 23
9     10.041000 openat(AT_FDCWD, "/", O_RDONLY|O_CLOEXEC|O_PATH|O_DIRECTORY) = 5
7     10.043000 openat(AT_FDCWD, "/s/phases-1", O_RDONLY|O_CLOEXEC|O_DIRECTORY) = 21
9     10.044000 execve("/bin/true", ["/bin/true"], 0x7 /* 3 vars */ <unfinished ...>
9     10.045000 exit_group(0)                       = ?
7     10.046000 exit_group(0 <unfinished ...>
9     10.046500 +++ exited with 0 +++
7     10.048000 +++ exited with 0 +++
`;

Deno.test("phasesOf() parts a trace of runk run, threads and the child's own end aside", () => {
  const phases = phasesOf(TRACE).map((ms) => Math.round(ms * 10) / 10);
  assert.deepEqual(phases, [1, 3, 16, 5, 2, 3, 7, 4, 2, 1, 2, 2]);
  assert.equal(phases.length, PHASES.length);
});

Deno.test("phasesOf() says which phase it cannot find", () => {
  assert.throws(() => phasesOf(TRACE.replaceAll("config.json", "other.json")), /phase "loading and evaluating/);
});
