/**
 * Declares the tests of the suite, but for those that the runtime under test is known to fail, each with its reason.
 * For runk nothing is left out but the comparison with another one.
 *
 * @module
 */
import { RUNTIME } from "./runtime.ts";
import { leftOut } from "../../src/base/testing/left_out.ts";

interface Lack {
  /** Names of the tests. */
  tests: RegExp;
  why: string;
}

const LACKS: Record<string, readonly Lack[]> = {
  runk: [{ tests: /^differential/, why: "is compared with others when it is their turn" }],
  runc: [
    { tests: /^concurrent/, why: "has no lock between its commands: now and then a second start waits for ever" },
    { tests: /^1\.1\+/, why: "1.1 is older than that part of the specification" },
    { tests: /^NOTIFY_SOCKET: a barrier/, why: "1.1 is older than the barrier" },
    {
      tests: /^F4.*(create starts|waits for its hooks|user namespace of its own)/,
      why: "enters the pid namespace of others while the machine's root is its own still",
    },
    {
      tests: /^F4.*(refused by name|without its filter)/,
      why: "lets them see CAP_SYS_ADMIN, or no filter, for a moment",
    },
    { tests: /^runk 47: nothing but a proc/, why: "has no process that opens one for it" },
    { tests: /^F4: forged/, why: "has messages of its own" },
    { tests: /^runk 05: signals of terminals/, why: "keeps those of terminals and of timers, and one of real time" },
    { tests: /^runk 42.*first of real time/, why: "does not know those of the C library and of its own" },
    { tests: /^runk 09:.*machine's pid/, why: "ends all in a cgroup if the pid namespace is not its own" },
    { tests: /^runk 09:.*free meanwhile/, why: "goes by the id alone, whoever has it by now" },
    { tests: /^runk 09b:.*(that is killed|an empty cgroup)/, why: "takes a cgroup for its own, and signals all in it" },
    {
      tests: /^runk 09b: (in a cgroup of others|one in a cgroup of others|a container that is gone)/,
      why: "ends all in a cgroup, or nobody whose parents have ended",
    },
    {
      tests: /^runk 09: (a container without a pid namespace leaves|more processes)/,
      why: "ends all in a cgroup, those of groups below as well, and takes one away that was there",
    },
    {
      tests: /^runk-more C2.*itself r?shared/,
      why: "cannot change to such a root, and leaves its mounts on the machine",
    },
    { tests: /^runk 12/, why: "fails on devices there" },
    { tests: /^runk 13.*makes start/, why: "of Debian 12 runs them at the end of create" },
    { tests: /^runk 06/, why: "of Debian 12 hands on the CPUs of its caller" },
    { tests: /^runk 36/, why: "of Debian 12 lists nothing then" },
    { tests: /^runk (34|49)/, why: "of Debian 12 knows neither time namespaces nor personalities" },
    { tests: /^runk 51/, why: "of Debian 12 is older than that" },
    { tests: /^seccomp.*forbids to exit/, why: "goes round for ever, now and then, where its program may not exit" },
    { tests: /^runk 38:.*(inherits|whose root)/, why: "leaves its mounts behind, and moves the root of others" },
    { tests: /^runk-more C1/, why: "of Debian 12 knows no scheduler" },
    { tests: /^runk-more C4.*refused/, why: "lets the sysctl win" },
    { tests: /^runk-more C5/, why: "binds devices as they are" },
    { tests: /^runk-more C6/, why: "binds whatever the machine has of that name" },
    { tests: /^runk-more C8/, why: "of Debian 12 knows no memory policy" },
    { tests: /^runk-more V2/, why: "takes the last one" },
    { tests: /^runk 50.*moved/, why: "of Debian 12 cannot move a root where mounts are shared" },
    { tests: /^LISTEN_FDS: more/, why: "of Debian 12 hands over those that are open, without a word" },
    { tests: /^kill -9 at each step/, why: "has threads, whose calls differ from run to run" },
    {
      tests: /^kill -9 in the middle of (create|run)/,
      why: "leaves cgroups behind if it is killed before it wrote its state",
    },
    { tests: /^kill -9 in the middle of exec/, why: "leaves now and then a process that keeps its delete waiting" },
  ],
  crun: [
    { tests: /^concurrent/, why: "has no lock between its commands" },
    { tests: /^1\.1\+/, why: "of Debian 12 is older than that part of the specification" },
    ...isHybrid() ? [{ tests: /^/, why: "refuses cgroups v1 beside a v2 hierarchy that has controllers" }] : [],
    { tests: /^differential/, why: "has ways of its own where runk follows runc" },
    {
      tests: /^F4.*(refused by name|without its filter)/,
      why: "lets them see CAP_SYS_ADMIN, or no filter, for a moment",
    },
    { tests: /^runk 47: nothing but a proc/, why: "has no process that opens one for it" },
    { tests: /^runk 59/, why: "writes to the group's type, whose refusal it tells without a name" },
    { tests: /^F4: forged/, why: "has messages of its own" },
    { tests: /^runk 54|^LISTEN_FDS: more/, why: "hands over those that are open, without a word" },
    { tests: /^events/, why: "has no such command" },
    { tests: /^runk 02.*(newer|no kernel)/, why: "has the default of the profile for them, by decision" },
    { tests: /^runk 01/, why: "sets sysctls before its hooks" },
    { tests: /^runk 13/, why: "of Debian 12 goes on, as the specification said then" },
    { tests: /^runk 14/, why: "gives a hook no name then" },
    { tests: /^runk 38/, why: "leaves its mounts behind, and moves the root of others" },
    { tests: /^runk 49/, why: "of Debian 12 moves no clocks" },
    { tests: /^runk-more C1/, why: "of Debian 12 knows no scheduler" },
    { tests: /^runk-more C2/, why: "of Debian 12 mounts nothing on the root" },
    { tests: /^runk-more C8/, why: "of Debian 12 knows no memory policy" },
    { tests: /^runk-more V2/, why: "takes the last one" },
    { tests: /^runk 45/, why: "wants its options before the id" },
    { tests: /^errors: a log in text format/, why: "writes the text without a level" },
    { tests: /relative cwd|^hooks: one that fails|unknown container/, why: "has other exit statuses than 1" },
    {
      tests: /^create: id|not running|start: a running|stopped container|unknown (signal|file)/,
      why: "has other words",
    },
    {
      tests: /^run with a terminal|^list shows|^mounts: option rshared/,
      why: "differs in terminal size, list and shared",
    },
    { tests: /as sigkill$/, why: "takes only upper case" },
    {
      tests: /^kill -9|^create: a (full|read-only)/,
      why: "leaves things behind if killed, has other words",
    },
    { tests: /^errors: one line/, why: "prints no JSON time" },
    { tests: /^errors: (stderr|say|create)/, why: "has other words, and shows its log's records nowhere else" },
    { tests: /^CVE-2024-21626: no working/, why: "of Debian 12 enters a directory through its caller's descriptors" },
    {
      tests: /^CVE-2025-52565.*(upwards|through)/,
      why: "of Debian 12 follows a link of the image to the machine's files",
    },
    { tests: /^CVE-2025-52881|^exec: oom_score_adj/, why: "sets no oom_score_adj of a process that joins" },
    { tests: /^labels/, why: "of Debian 12 passes over a label that the machine cannot give" },
    { tests: /^NOTIFY_SOCKET/, why: "sends other messages" },
    { tests: /^resources: what this machine's cgroups cannot do/, why: "has other words" },
    { tests: /^scope: systemd has it with all limits/, why: "of Debian 12 does not tell systemd of a CPU quota" },
    { tests: /^systemd|SCMP_ACT_NOTIFY/, why: "was not tried there: no machine so far has let it run" },
  ],
};

/** Whether v2 has controllers while others are on v1. */
function isHybrid(): boolean {
  try {
    return Deno.readTextFileSync("/sys/fs/cgroup/unified/cgroup.controllers").trim() !== "";
  } catch {
    return false;
  }
}

const NAME = RUNTIME.slice(RUNTIME.lastIndexOf("/") + 1);

function isLeftOut(name: string): boolean {
  const lack = LACKS[NAME]?.find(({ tests }) => tests.test(name));
  return leftOut({ name }, lack && `${NAME} ${lack.why}`);
}

type Body = () => Promise<void> | void;

/** As `Deno.test(name, body)`. */
export function test(name: string, body: Body): void {
  Deno.test({ name, fn: body, ignore: isLeftOut(name) });
}

/** As `Deno.test.each(rows)(name, body)`: `$key` in the name stands for the row's value. */
export function testEach<T extends object>(
  rows: readonly T[],
): (name: string, body: (row: T) => ReturnType<Body>) => void {
  return (name, body) => {
    for (const row of rows) {
      const values = new Map<string, unknown>(Object.entries(row));
      const filled = name.replace(/\$(\w+)/g, (all, key: string) => values.has(key) ? String(values.get(key)) : all);
      test(filled, () => body(row));
    }
  };
}
