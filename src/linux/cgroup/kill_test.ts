import assert from "node:assert/strict";
import { pidfdOf, signalMembers } from "./kill.ts";

interface Sleepers extends AsyncDisposable {
  children: readonly Deno.ChildProcess[];
  pids: readonly number[];
}

function sleepers(count: number): Sleepers {
  const children = Array.from({ length: count }, () => new Deno.Command("sleep", { args: ["1000"] }).spawn());
  return {
    children,
    pids: children.map(({ pid }) => pid),
    async [Symbol.asyncDispose]() {
      for (const child of children) {
        try {
          child.kill("SIGKILL");
        } catch { /* it has ended */ }
        await child.status;
      }
    },
  };
}

const SIGTERM = 15;

/** Which of them a signal has ended, once all others were asked to go. */
async function ended({ children }: Sleepers): Promise<boolean[]> {
  for (const child of children) {
    try {
      child.kill("SIGKILL");
    } catch { /* it has ended */ }
  }
  const ends = await Promise.all(children.map(({ status }) => status));
  return ends.map(({ signal }) => signal === "SIGTERM");
}

Deno.test("signalMembers() signals all members, and of these whom the chooser means", async () => {
  await using all = sleepers(3);
  signalMembers(() => [...all.pids], { signal: SIGTERM });
  await Promise.all(all.children.map(({ status }) => status));
  assert.deepEqual(await ended(all), [true, true, true]);
  await using some = sleepers(3);
  signalMembers(() => [...some.pids], { signal: SIGTERM, chooser: () => (pid) => pid === some.pids[1] });
  await some.children[1]!.status;
  assert.deepEqual(await ended(some), [false, true, false]);
});

Deno.test("signalMembers() spares who is no member any more once it is opened: its number may be another's by then", async () => {
  await using two = sleepers(2);
  const lists = [[...two.pids], [two.pids[1]!]];
  signalMembers(() => lists.shift() ?? [], { signal: SIGTERM });
  await two.children[1]!.status;
  assert.deepEqual(await ended(two), [false, true]);
});

Deno.test("signalMembers() passes over those that have ended, and asks the chooser about none of them", async () => {
  await using one = sleepers(1);
  const gone = 2 ** 22 + 1;
  const asked: number[] = [];
  const chooser = () => (pid: number) => asked.push(pid) > 0;
  signalMembers(() => [gone, ...one.pids], { signal: SIGTERM, chooser });
  await one.children[0]!.status;
  assert.deepEqual(asked, one.pids);
  assert.equal(pidfdOf(gone), undefined);
});

Deno.test("signalMembers() opens few at a time, and asks for a new chooser and a new list for each of these", async () => {
  await using one = sleepers(1);
  let [lists, choosers, highest] = [0, 0, 0];
  const list = () => {
    lists++;
    highest = Math.max(highest, [...Deno.readDirSync("/proc/self/fd")].length);
    return Array.from({ length: 300 }, () => one.pids[0]!);
  };
  const before = [...Deno.readDirSync("/proc/self/fd")].length;
  const chooser = () => {
    choosers++;
    return () => false;
  };
  signalMembers(list, { signal: SIGTERM, chooser });
  assert.deepEqual([lists, choosers], [4, 3]);
  assert.ok(highest - before <= 128, `${highest - before} were open`);
  assert.equal([...Deno.readDirSync("/proc/self/fd")].length, before);
});
