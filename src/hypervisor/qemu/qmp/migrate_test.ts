import assert from "node:assert/strict";
import { memfd } from "../../../linux/io/fd.ts";
import { loadState, saveState } from "./migrate.ts";
import { Qmp } from "./qmp.ts";
import { type Command, fakeQmp } from "../testing/fake_qmp.ts";

type Version = { major: number; minor: number };

const WORDS = "fd: migration to a file is not supported. Use file: instead.";

/** A QEMU that saves and loads, or `refuses` to; gives what it was asked for. */
async function monitor(
  version: Version | undefined,
  { refuses = false } = {},
): Promise<{ qmp: Qmp; asked: Command[] }> {
  const asked: Command[] = [];
  const wire = fakeQmp((command, say) => {
    asked.push(command);
    const { id, execute } = command;
    if (!execute.startsWith("migrate") || execute === "migrate-set-capabilities") {
      return say({ return: { "fdset-id": 7, fd: 42 }, id });
    }
    if (refuses) return say({ error: { class: "GenericError", desc: WORDS }, id });
    say({ return: {}, id });
    say({ event: "MIGRATION", data: { status: "completed" } });
  }, version);
  return { qmp: await Qmp.open(wire, AbortSignal.timeout(2_000)), asked };
}

Deno.test.each<{ version: Version | undefined; uri: string; taken: string }>([
  { version: { major: 7, minor: 2 }, uri: "fd:state", taken: "closefd" },
  { version: { major: 8, minor: 1 }, uri: "fd:state", taken: "closefd" },
  { version: { major: 8, minor: 2 }, uri: "file:/dev/fdset/7", taken: "remove-fd" },
  { version: { major: 11, minor: 1 }, uri: "file:/dev/fdset/7", taken: "remove-fd" },
  { version: undefined, uri: "file:/dev/fdset/7", taken: "remove-fd" },
])("versions V1: a state goes by $uri to a QEMU of version $version, and nothing stays with it", async (row) => {
  using state = memfd("state");
  const signal = AbortSignal.timeout(2_000);
  for (const [command, run] of [["migrate", saveState], ["migrate-incoming", loadState]] as const) {
    const { qmp, asked } = await monitor(row.version);
    await using _closed = qmp;
    await run(qmp, state, signal);
    assert.deepEqual(asked.find(({ execute }) => execute === command)?.arguments, { uri: row.uri });
    assert.equal(asked.at(-1)?.execute, row.taken);
  }
});

Deno.test("versions V1: a QEMU that cannot save a state is named with its version and its own words", async () => {
  using state = memfd("state");
  const { qmp } = await monitor({ major: 12, minor: 0 }, { refuses: true });
  await using _closed = qmp;
  await assert.rejects(saveState(qmp, state), (error: Error) => {
    assert.equal(error.message, "Cannot save the state of a machine with QEMU 12.0");
    assert.equal((error.cause as Error).message, WORDS);
    return true;
  });
});
