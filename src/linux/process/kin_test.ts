import assert from "node:assert/strict";
import { Kin, namespaceOf } from "./kin.ts";

/** A shell whose child is another process, whose child is a third. */
async function family(): Promise<AsyncDisposable & { pids: readonly [number, number, number] }> {
  const script = "sh -c 'sleep 1000 & echo $$ $!; read -r end; kill $!'; true";
  const child = new Deno.Command("sh", { args: ["-c", script], stdin: "piped", stdout: "piped" }).spawn();
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  const [middle = 0, last = 0] = new TextDecoder().decode(value).trim().split(" ").map(Number);
  return {
    pids: [child.pid, middle, last],
    async [Symbol.asyncDispose]() {
      await child.stdin.close();
      await reader.cancel();
      await child.status;
    },
  };
}

Deno.test("Kin has a process that is one, or descends from one, and nobody above or beside it", async () => {
  await using first = await family();
  await using other = await family();
  const [top, middle, last] = first.pids;
  const kin = new Kin((pid) => pid === middle);
  assert.deepEqual([top, middle, last, ...other.pids].map((pid) => kin.has(pid)), [
    false,
    true,
    true,
    false,
    false,
    false,
  ]);
});

Deno.test("Kin does not look twice at a process, whatever the answer was", async () => {
  await using one = await family();
  const [top, middle, last] = one.pids;
  for (const isFirst of [true, false]) {
    const asked: number[] = [];
    const kin = new Kin((pid) => {
      asked.push(pid);
      return isFirst && pid === middle;
    });
    for (const pid of [last, last, middle, top]) kin.has(pid);
    assert.equal(new Set(asked).size, asked.length, asked.join());
    assert.deepEqual(asked.slice(0, 2), [last, middle]);
  }
});

Deno.test("Kin never takes the machine's first process for one, nor asks about who has ended beyond that one", () => {
  const asked: number[] = [];
  const kin = new Kin((pid) => asked.push(pid) > 0 && pid <= 1);
  assert.ok(!kin.has(1));
  assert.ok(!kin.has(Deno.pid));
  assert.ok(!asked.includes(1));
  const gone = 2 ** 22 + 1;
  assert.ok(!kin.has(gone));
  assert.equal(asked.at(-1), gone);
});

Deno.test("namespaceOf() names that of a process, and of none that has ended", async () => {
  await using one = await family();
  assert.match(namespaceOf("self", "mnt")!, /^mnt:\[\d+\]$/);
  assert.equal(namespaceOf(one.pids[2], "pid"), namespaceOf("self", "pid"));
  assert.notEqual(namespaceOf("self", "pid"), namespaceOf("self", "mnt"));
  assert.equal(namespaceOf(2 ** 22 + 1, "mnt"), undefined);
});
