import assert from "node:assert/strict";
import { diagnose } from "./diagnose.ts";
import { Qmp } from "./qmp.ts";
import { fakeQmp } from "../testing/fake_qmp.ts";

async function diagnosis(status: string, pointers: string[]): Promise<string> {
  const wire = fakeQmp(({ execute, id }, say) => {
    if (execute === "query-status") return say({ return: { status }, id });
    const pointer = pointers.length > 1 ? pointers.shift() : pointers[0];
    say({ return: `CPU#0\r\nRIP=${pointer} HLT=0`, id });
  });
  await using qmp = await Qmp.open(wire, AbortSignal.timeout(2_000));
  return await diagnose(qmp, { proc: "/proc/self" });
}

Deno.test("kvm M7: diagnose() tells the machine's state, whether its processor moves, and its memory", async () => {
  assert.match(
    await diagnosis("running", ["ffffffff81000000", "ffffffff81000004"]),
    /^the machine is running, its processor moves \(last at 0xffffffff81000004\), \d+ MiB of its memory are in use$/,
  );
  assert.match(
    await diagnosis("internal-error", ["ffffffff81000000"]),
    /^the machine is internal-error, its processor stands still at 0xffffffff81000000, /,
  );
});

Deno.test("kvm M7: diagnose() says what it knows if the monitor answers nothing that can be", async () => {
  const wire = fakeQmp(({ id }, say) => say({ return: {}, id }));
  await using qmp = await Qmp.open(wire, AbortSignal.timeout(2_000));
  assert.equal(await diagnose(qmp, { proc: "/nowhere" }), "its monitor does not answer");
});
