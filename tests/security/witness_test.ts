/** The witness sees what it is there to see; a witness that sees nothing would let every attack pass. */
import assert from "node:assert/strict";
import { makeVictim, Witness } from "./witness.ts";

const ATTACKS: Readonly<Record<string, (victim: string) => void>> = {
  "a new file": (victim) => Deno.writeTextFileSync(`${victim}/etc/cron.d/job`, ""),
  "another content of the same length": (victim) => {
    const { mtime } = Deno.statSync(`${victim}/secret`);
    Deno.writeTextFileSync(`${victim}/secret`, "THE-GUEST-SECRET\n");
    Deno.utimeSync(`${victim}/secret`, mtime!, mtime!);
  },
  "another mode": (victim) => Deno.chmodSync(`${victim}/secret`, 0o644),
  "another owner": (victim) => Deno.chownSync(`${victim}/secret`, 65534, 0),
  "a file less": (victim) => Deno.removeSync(`${victim}/secret`),
  "a link": (victim) => Deno.symlinkSync("/etc", `${victim}/link`),
  "a file that came and went": (victim) => {
    Deno.writeTextFileSync(`${victim}/file`, "");
    Deno.removeSync(`${victim}/file`);
  },
};

for (const [name, attack] of Object.entries(ATTACKS)) {
  Deno.test(`Witness sees ${name}`, () => {
    using victim = makeVictim();
    const witness = new Witness(victim.path);
    assert.deepEqual(witness.treeChanges(), []);
    attack(victim.path);
    assert.notDeepEqual(witness.treeChanges(), []);
  });
}

Deno.test("Witness sees a mount in the tree, a process and sockets", async () => {
  using victim = makeVictim();
  const witness = new Witness(victim.path);
  await new Deno.Command("mount", { args: ["-t", "tmpfs", "none", `${victim.path}/etc`] }).output();
  try {
    assert.match(witness.treeChanges().join("\n"), /^\+ mount .*\/etc/m);
    using tcp = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    using _unix = Deno.listen({ transport: "unix", path: `${victim.path}/etc/socket` });
    await using child = new Deno.Command("sleep", { args: ["1000"] }).spawn();
    const seen = witness.changes().join("\n");
    assert.match(seen, new RegExp(`^\\+ process ${child.pid}: \\S*sleep 1000$`, "m"));
    assert.match(seen, new RegExp(`^\\+ socket ${victim.path}/etc/socket$`, "m"));
    const port = tcp.addr.port.toString(16).toUpperCase().padStart(4, "0");
    assert.match(seen, new RegExp(`^\\+ tcp 0100007F:${port}$`, "m"));
  } finally {
    await new Deno.Command("umount", { args: [`${victim.path}/etc`] }).output();
  }
});
