/** Traffic between the caller of a process in the foreground and that process: signals and the terminal. */
import assert from "node:assert/strict";
import { Box, RUNTIME } from "./runtime.ts";
import { test, testEach } from "./suite.ts";
import { finish, finished } from "../support/command.ts";
import { until } from "../support/wait.ts";

/** Signals that a runtime's own threads do not need, and that a shell can trap: not KILL, STOP, CHLD. */
const PASSED = [1, 2, 3, 6, 10, 12, 13, 14, 15, 16, 18, 20, 21, 22, 24, 25, 26, 29, 30, 31, 37, 63, 64];
/** Faults of a program, which somebody may send as well. */
const FAULTS = [4, 5, 7, 8, 11];
/** Of the terminal, of Go's timers, and of glibc. */
const NOT_BY_RUNC = [27, 28, 34];

/** A container in the foreground whose first process tells of each signal. */
async function listening(box: Box, numbers: readonly number[]): Promise<{ child: Deno.ChildProcess; id: string }> {
  const id = box.id();
  const traps = numbers.map((number) => `trap 'echo ${number} >>/tmp/heard' ${number}`).join("; ");
  box.sh(`${traps}; : >/tmp/ready; while :; do sleep 0.05; done`).save();
  const child = new Deno.Command(RUNTIME, {
    args: ["--root", box.root, "run", "--bundle", box.bundle, id],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  await until(async () => await Deno.stat(`${box.rootfs}/tmp/ready`).catch(() => undefined) !== undefined);
  return { child, id };
}

function heard(box: Box): string[] {
  try {
    return Deno.readTextFileSync(`${box.rootfs}/tmp/heard`).trim().split("\n");
  } catch {
    return [];
  }
}

testEach([
  { what: "every signal that has a use", numbers: PASSED },
  { what: "faults that are sent", numbers: FAULTS },
  { what: "signals of terminals, timers and real time", numbers: NOT_BY_RUNC },
])("runk 05: $what reach the container when they are sent to the runtime", async ({ numbers }) => {
  await using box = new Box();
  const { child, id } = await listening(box, numbers);
  // Twice, as Deno takes some for itself a while after its start. One at a time: a pending signal does not count its senders.
  const sent = [...numbers, ...numbers];
  for (const [index, number] of sent.entries()) {
    await finish("/bin/kill", { args: [`-${number}`, String(child.pid)] });
    await until(() => heard(box).length > index).catch((cause) => {
      throw new Error(`Cannot hear signal ${number}`, { cause });
    });
  }
  assert.deepEqual(heard(box).map(Number), sent);
  await box.ok("kill", id, "KILL");
  assert.equal((await finished(child, ["run"])).code, 137);
});

/** A shell can ignore all but KILL and STOP, the C library's two, and CHLD, which needs a test of its own. */
const IGNORED = Array.from({ length: 64 }, (_, index) => index + 1).filter((one) =>
  ![9, 17, 19, 32, 33, 34].includes(one)
);

testEach([
  { command: "run", numbers: IGNORED, what: "no signal" },
  { command: "exec", numbers: IGNORED, what: "no signal" },
  { command: "run", numbers: [34], what: "not the first of real time" },
  { command: "exec", numbers: [34], what: "not the first of real time" },
  { command: "run", numbers: [17], what: "no end of a child" },
  { command: "exec", numbers: [17], what: "no end of a child" },
])("runk 42: what $command starts ignores $what that its caller ignores", async ({ command, numbers }) => {
  await using box = new Box();
  const id = box.id();
  const words = ["grep", "-E", "^Sig(Ign|Blk)", "/proc/self/status"];
  box.sh("sleep 100");
  if (command === "run") box.spec.process.args = words;
  box.save();
  if (command === "exec") await box.ok("run", "--detach", "--bundle", box.bundle, id);
  const args = command === "run" ? ["run", "--bundle", box.bundle, id] : ["exec", id, ...words];
  const ignoring = `for n in ${numbers.join(" ")}; do trap '' $n; done; exec "$@"`;
  const { stdout, code } = await finish("/bin/bash", { args: ["-c", ignoring, "bash", ...box.words(args)] });
  assert.equal(code, 0);
  const [, blocked = "", ignored = ""] = /^SigBlk:\t(\w+)\nSigIgn:\t(\w+)\n$/.exec(new TextDecoder().decode(stdout)) ??
    [];
  assert.match(blocked, /^0+$/);
  // The C library's own two come to us ignored from whatever posix_spawn(3) starts.
  const seen = numbers.includes(34) ? -1n : ~(7n << 31n);
  assert.equal(BigInt(`0x${ignored}`) & seen, 0n);
});

/** As script(1) calls it: stdin and stdout of the runtime are a terminal, or stdout is a file. */
async function onTerminal(
  words: readonly string[],
  { to }: { to?: string } = {},
): Promise<{ code: number; text: string }> {
  const quoted = words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
  const args = ["-qec", to === undefined ? quoted : `${quoted} >${to}`, "/dev/null"];
  const child = new Deno.Command("script", { args, stdin: "piped", stdout: "piped", stderr: "null" }).spawn();
  const { code, stdout } = await finished(child, ["script", ...args]);
  await child.stdin.close().catch(() => {}); // it has ended
  return { code, text: to === undefined ? new TextDecoder().decode(stdout) : Deno.readTextFileSync(to) };
}

testEach([{ command: "run" }, { command: "exec" }])(
  "runk 48: lines of $command on a terminal end as the program ends them, in a file of the caller",
  async ({ command }) => {
    await using box = new Box();
    const id = box.id();
    const script = "echo first; echo second";
    if (command === "run") {
      box.sh(script).spec.process.terminal = true;
      box.save();
    } else {
      box.sh("sleep 100").save();
      await box.ok("run", "--detach", "--bundle", box.bundle, id);
    }
    const args = command === "run"
      ? ["run", "--bundle", box.bundle, id]
      : ["exec", "--tty", id, "/bin/sh", "-c", script];
    const { code, text } = await onTerminal(box.words(args), { to: `${box.dir}/shown` });
    assert.deepEqual([code, text], [0, "first\nsecond\n"]);
  },
);

test("runk 48: a terminal of the caller still gets whole lines", async () => {
  await using box = new Box();
  const id = box.id();
  box.sh("sleep 100").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  const { text } = await onTerminal(box.words(["exec", "--tty", id, "/bin/sh", "-c", "echo first; echo second"]));
  assert.match(text, /first\r\nsecond\r\n/);
});

test("runk 04: exec with a terminal ends when its process does, whoever keeps the terminal", async () => {
  await using box = new Box();
  const id = box.id();
  box.sh("sleep 1000").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  // The one that is left ends only with the container.
  const script = "setsid sleep 1000 & seq 20000; exit 7";
  const words = box.words(["exec", "--tty", id, "/bin/sh", "-c", script]);
  const { code, text } = await onTerminal(words, { to: `${box.dir}/shown` });
  assert.equal(code, 7);
  const lines = text.replaceAll("\r", "").trimEnd().split("\n");
  assert.deepEqual([lines.length, lines.at(-1)], [20000, "20000"]);
});
