/** Commands on a running container, each with the words it may have. @module */
import fc from "fast-check";
import type { Command } from "./plan.ts";

const of = fc.constantFrom;

type Words = fc.Arbitrary<Omit<Command, "name">>;

function words(...args: fc.Arbitrary<string | readonly string[]>[]): Words {
  return fc.tuple(...args).map((lists) => ({ args: lists.flat() }));
}

function maybe(...args: string[]): fc.Arbitrary<readonly string[]> {
  return of<readonly string[]>([], args);
}

const PROGRAM = ["ID", "/bin/sh", "-c", "PROBE"];

const MiB = 1 << 20;

const COMMANDS: Record<string, Words> = {
  "exec": words(
    of("exec"),
    fc.subarray([
      "--user=1000",
      "--user=0:5",
      "--user=70000:70000",
      "--cwd=/tmp",
      "--cwd=/no/such/dir",
      "--env=A=1",
      "--env=A=2",
      "--env=EMPTY=",
      "--env=PATH=/nowhere",
      "--cap=CAP_KILL",
      "--cap=CAP_SYS_ADMIN",
      "--cap=CAP_CHOWN",
      "--additional-gids=7",
      "--additional-gids=0",
      "--no-new-privs",
      "--tty=false",
    ], { maxLength: 5 }),
    of(PROGRAM),
  ),
  "exec --process": fc.record(
    {
      env: of([], ["PATH=/bin", "A=b"], ["HOME=/x"]),
      user: fc.record({ uid: of(0, 1000), gid: of(0, 1000), umask: of(0o77), additionalGids: of([3, 4], []) }, {
        requiredKeys: ["uid", "gid"],
      }),
      cwd: of("/", "/tmp", "/bin"),
      capabilities: of({}, { bounding: ["CAP_KILL"] }, {
        bounding: ["CAP_KILL", "CAP_MKNOD"],
        effective: ["CAP_KILL"],
        permitted: ["CAP_KILL", "CAP_MKNOD"],
      }),
      rlimits: of([], [{ type: "RLIMIT_CORE", soft: 1, hard: 2 }]),
      noNewPrivileges: fc.boolean(),
    },
    { requiredKeys: ["cwd"] },
  ).map((process) => ({
    args: ["exec", "--process", "FILE", "ID"],
    file: { args: ["/bin/sh", "-c", "PROBE"], ...process },
  })),
  "exec that fails": words(
    of("exec"),
    of(
      ["ID", "/no/such"],
      ["ID", "nosuch"],
      ["ID", "/etc/passwd"],
      ["ID", "/etc"],
      ["ID", ""],
      ["ID"],
      ["--user", "root", "ID", "/bin/true"],
      ["--user", "1:2:3", "ID", "/bin/true"],
      ["--user", "-1", "ID", "/bin/true"],
      ["--cap", "CAP_NO_SUCH", "ID", "/bin/true"],
      ["--cap", "KILL", "ID", "/bin/true"],
      ["--cwd", "relative", "ID", "/bin/true"],
      ["--env", "A", "ID", "/bin/true"],
      ["--process", "/no/such", "ID"],
      ["--preserve-fds", "9", "ID", "/bin/true"],
      ["--apparmor", "nosuch", "ID", "/bin/true"],
      ["nosuch", "/bin/true"],
    ),
  ),
  "exec with a status": words(
    of("exec"),
    of("ID"),
    of(["/bin/sh", "-c", "exit 3"], ["/bin/sh", "-c", "kill -9 $$"], [
      "/bin/false",
    ], ["/bin/sh", "-c", "kill -TERM $$"]),
  ),
  "update by flags": words(
    of("update"),
    of([], ["--memory", "100M"], ["--memory", "100M", "--memory-swap", "200M"], ["--memory-swap", "-1"]),
    maybe("--memory-reservation", "50M"),
    maybe("--cpu-share", "300"),
    maybe("--cpu-quota", "30000", "--cpu-period", "60000"),
    of([], ["--cpuset-cpus", "0"], ["--cpuset-cpus", "0-1"], ["--cpuset-mems", "0"]),
    of([], ["--pids-limit", "77"], ["--pids-limit", "-1"], ["--pids-limit", "0"]),
    maybe("--blkio-weight", "300"),
    of("ID"),
  ),
  "update by a file": fc.record(
    {
      memory: of({ limit: 90 * MiB }, { limit: 90 * MiB, swap: 180 * MiB }, { swap: -1 }, { reservation: MiB }, {
        limit: 0,
      }),
      cpu: fc.record(
        {
          shares: of(0, 99),
          quota: of(40_000, -1),
          period: of(80_000),
          cpus: of("1", ""),
          realtimePeriod: of(1_000_000),
        },
        { requiredKeys: [] },
      ),
      pids: of({ limit: 55 }, { limit: 0 }),
      blockIO: of({ weight: 222 }),
    },
    { requiredKeys: [] },
  ).map((resources) => ({ args: ["update", "--resources", "-", "ID"], stdin: JSON.stringify(resources) })),
  "update that fails": words(
    of("update"),
    of(
      ["--memory", "1"],
      ["--memory", "x"],
      ["--cpuset-cpus", "99"],
      ["--cpu-quota", "1"],
      [
        "--resources",
        "/no/such",
      ],
      ["--cpu-share", "-5"],
      ["--cpu-period", "5"],
      ["--blkio-weight", "5"],
    ),
    of("ID"),
  ),
  "pause": words(of("pause"), of("ID")),
  "resume": words(of("resume"), of("ID")),
  "state": words(of("state"), of("ID")),
  "ps": words(of("ps"), of(["--format", "json", "ID"], ["ID", "-o", "pid,comm"])),
  "list": words(of("list"), of(["--format", "json"], ["-q"], [])),
  "events": words(of("events"), of("--stats"), of("ID")),
  "start": words(of("start"), of("ID")),
  "create again": words(of("create"), of("--bundle"), of("BUNDLE"), of("ID")),
  "kill": words(
    of("kill"),
    maybe("--all"),
    of("ID"),
    of("KILL", "SIGTERM", "15", "CONT", "sigwinch", "NOSUCH", "0"),
  ),
  "delete": words(of("delete"), maybe("--force"), of("ID", "nosuch")),
};

export const COMMAND_NAMES: readonly string[] = Object.keys(COMMANDS);

/** A few commands one after the other. */
export const commands: fc.Arbitrary<Command[]> = fc.array(
  fc.oneof(...Object.entries(COMMANDS).map(([name, words]) => words.map((rest) => ({ name, ...rest })))),
  { minLength: 1, maxLength: 5 },
);
